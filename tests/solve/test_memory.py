"""max_memory: what a solve is said to take and takes, slices, and no memory at all."""

import pickle
import sys
import tracemalloc
import types
import warnings

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import convinv
from convinv import ConvergenceWarning, ConvLinearOperator, Status, solve
from convinv._problem.batch import Layout
from convinv._solve import slices
from convinv._solve.arguments import method as find_method
from convinv._solve.memory import Estimate, copied, parse_bytes, vectors
from convinv._solve.memory_errors import explained
from convinv.kernels.products.fft import Plan
from convinv.solvers import METHODS
from support.quiet import quietly


def layer(shape=(6, 2, 3, 3), size=9, dtype="float64", seed=0, **options):
    rng = np.random.default_rng(seed)
    kernel = 0.3 * rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        kernel = kernel + 0.3j * rng.standard_normal(shape)
    for c in range(min(shape[:2])):
        kernel[c, c, 1, 1] += 2
    return ConvLinearOperator(kernel.astype(dtype), (shape[1], size, size), **options)


def data(op, *batch, seed=1, noise=0.1):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((*batch, *op.input_shape))
    b = op.forward(x)
    return b + noise * rng.standard_normal(b.shape).astype(b.dtype)


def estimate_of(op, b, name, damp=0.0, preconditioner=None, **options):
    layout = Layout(op, b, None)
    entry = find_method(name, op)
    return Estimate(op, layout, entry, options, preconditioner, bool(damp), 0)


@pytest.fixture
def sliced(monkeypatch):
    """Makes ``max_memory`` cut a batch into slices of so many items."""

    def cut(size):
        monkeypatch.setattr(Estimate, "fitting", lambda self, limit: size)

    return cut


class TestBytes:
    @pytest.mark.parametrize(
        ("value", "count"),
        [
            (5, 5), (2.5e9, 2.5e9), ("7", 7), ("2GB", 2e9), ("512MiB", 2**29),
            ("1.5 kB", 1500), ("3k", 3000), ("1e3 mib", 1000 * 2**20), ("4TiB", 2**42),
            (np.int64(9), 9),
        ],
    )  # fmt: skip
    def test_what_is_taken(self, value, count):
        assert parse_bytes(value) == count

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            ("much", ValueError), ("", ValueError), ("1.2.3GB", ValueError),
            ("2XB", ValueError), ("-1GB", ValueError), (-1, ValueError),
            (float("nan"), ValueError), (True, TypeError), ([1], TypeError),
        ],
    )  # fmt: skip
    def test_what_is_not(self, value, error):
        op = layer()
        with pytest.raises(error, match="max_memory"):
            solve(op, data(op), max_memory=value)


class TestDeclared:
    @pytest.mark.parametrize("name", METHODS)
    def test_every_method_can_be_counted(self, name):
        """The parser's numbers are those that the string starts with."""
        entry = METHODS[name]
        counts = vectors(entry, {}, unknowns=1000)
        assert counts["m"] >= 0 and counts["n"] > 0
        shown = {
            "cg": (1, 2), "cgls": (2, 2), "lsqr": (2, 3), "lsmr": (2, 4),
            "gmres": (0, 50), "gradient": (2, 1), "strip": (3, 4), "direct": (0, 2),
        }  # fmt: skip
        if name in shown:
            assert (counts["m"], counts["n"]) == shown[name]

    def test_options_and_preconditioners_count(self):
        assert vectors(METHODS["gmres"], {"restart": 7})["n"] == 7
        assert vectors(METHODS["gmres"], {"restart": 70}, unknowns=30)["n"] == 30
        assert vectors(METHODS["gradient"], {"step": "adam"}) == {"m": 2, "n": 3}
        assert vectors(METHODS["gradient"], {"step": "fixed"}) == {"m": 2, "n": 1}
        assert vectors(METHODS["lsqr"], {}, preconditioned=True) == {"m": 2, "n": 4}
        assert vectors(METHODS["lsmr"], {}, preconditioned=True) == {"m": 2, "n": 6}


CASES = {
    "cgls": {},
    "lsqr": {"damp": 0.3},
    "lsmr": {"preconditioner": "jacobi"},
    "gmres": {"normal": True, "restart": 10},
    "gradient": {"step": "adam"},
    "kaczmarz": {},
    "kaczmarz damped": {"damp": 0.3},
    "gauss-seidel": {},
    "rek": {},
    "gbk": {},
    "adbk": {},
    "rshek": {"damp": 0.3},
    "strip": {},
    "strip refined": {"refine": True},
    "direct": {},
    "schwarz": {},
    "spectral": {},
    "cgls circulant": {"preconditioner": "circulant"},
    "cgls schwarz": {"preconditioner": "schwarz"},
}


class TestHonesty:
    """What a solve takes is near to what it is said to take."""

    @staticmethod
    def peak(solve_it):
        solve_it()  # kernels and what is kept with the operator
        found = []
        for _ in range(2):  # what another thread takes meanwhile is counted too
            tracemalloc.start()
            try:
                result = solve_it()
                found.append(tracemalloc.get_traced_memory()[1] - result.x.nbytes)
            finally:
                tracemalloc.stop()
        return min(found)

    @pytest.mark.parametrize("case", CASES)
    @pytest.mark.parametrize("dtype", ["float64", "complex64"])
    @pytest.mark.parametrize("shape", [(4, 1, 3, 3), (2, 2, 3, 3), (1, 3, 3, 3)])
    def test_measured(self, case, dtype, shape):
        name, options = case.split()[0], CASES[case]
        if name == "strip" and shape[0] < shape[1]:
            pytest.skip("one large matrix")
        periodic = {"boundary": "periodic"} if name == "spectral" else {}
        size = 40 if name == "schwarz" else 24  # where it does not end in a factor
        op = layer(shape, size, dtype, padding=1, **periodic)
        b = data(op, 24)
        arguments = {"h_b": 24, **options} if name == "strip" else options
        found = self.peak(
            lambda: quietly(op, b, name, rtol=1e-14, maxiter=3, rng=0, **arguments)
        )
        said = estimate_of(op, b, name, **arguments).bytes(24)
        assert said / 3 <= found + 2**16 and found <= 1.2 * said + 2**18

    @pytest.mark.parametrize("dtype", ["float64", "complex64"])
    @pytest.mark.parametrize("damp", [0.0, 0.3])
    @pytest.mark.parametrize("name", ["separable", "even", "patches"])
    def test_closed_forms(self, name, damp, dtype):
        """Forwards and adjoint; single precision starts again from what it has."""
        options = {
            "separable": {"padding": 1},
            "even": {"padding": 1, "boundary": "symmetric"},
            "patches": {"stride": 3},
        }[name]
        kernel = layer((4, 1, 3, 3), dtype=dtype).kernel
        if name == "separable":
            rows, columns = kernel[:1, :, :1], kernel[:1, :, :, :1]
            kernel = kernel[:, :, :1, :1] * rows * columns
        if name == "even":
            kernel = kernel + kernel[:, :, ::-1]
            kernel = kernel + kernel[..., ::-1]
        op = ConvLinearOperator(kernel, (1, 24, 24), **options)
        for one in (op, op.H):
            b = data(one, 24)
            found = self.peak(
                lambda: quietly(one, b, "spectral", rtol=1e-14, maxiter=3, damp=damp)
            )
            said = estimate_of(one, b, "spectral", damp).bytes(24)
            assert said / 4 <= found + 2**16 and found <= 1.2 * said + 2**18

    @pytest.mark.parametrize("dtype", ["float32", "complex128"])
    @pytest.mark.parametrize("boundary", ["zero", "symmetric", "periodic"])
    def test_products_by_fft(self, dtype, boundary):
        """What they take is bounded, whatever the batch, and counted."""
        rng = np.random.default_rng(0)
        kernel = (0.01 * rng.standard_normal((2, 1, 41, 41))).astype(dtype)
        op = ConvLinearOperator(
            kernel, (1, 128, 128), padding="same", boundary=boundary
        )
        assert isinstance(op._plan(op.dtype), Plan)
        b = data(op, 24)
        found = self.peak(lambda: quietly(op, b, "cgls", rtol=1e-14, maxiter=3))
        estimate = estimate_of(op, b, "cgls")
        said = estimate.bytes(24)
        assert said / 3 <= found <= 1.2 * said + 2**18
        scratch = [plan.scratch_bytes(10**6) for plan in estimate.plans]
        assert max(scratch) < 2**28

    def test_matrices_and_operators(self):
        matrix = np.random.default_rng(0).standard_normal((1500, 500))
        op = aslinearoperator(matrix)
        b = np.random.default_rng(1).standard_normal((64, 1500))
        found = self.peak(lambda: quietly(op, b, "cgls", maxiter=3))
        wrapped = convinv._solve.front.as_operator(op)
        said = estimate_of(wrapped, b, "cgls").bytes(64)
        assert said / 3 <= found <= 1.2 * said + 2**18

    def test_auto_counts_the_most_of_its_choices(self):
        op = layer((4, 1, 3, 3), 24)
        b = data(op, 24)
        found = self.peak(lambda: solve(op, b))
        said = estimate_of(op, b, "auto").bytes(24)
        assert found <= said
        singles = [estimate_of(op, b, name).bytes(24) for name in ("direct", "schwarz")]
        assert said >= max(singles)

    def test_the_limit_is_kept(self):
        """Slices really take less, and no more than was allowed."""
        op = layer((4, 1, 3, 3), 32)
        b = data(op, 48)
        estimate = estimate_of(op, b, "lsmr")
        limit = estimate.bytes(48) / 5
        for name, value in (("whole", None), ("slices", limit)):
            found = self.peak(lambda v=value: quietly(
                op, b, "lsmr", maxiter=4, rtol=1e-14, max_memory=v
            ))  # fmt: skip
            assert (found > limit) == (name == "whole")

    def test_copies_of_the_data_count(self):
        op = layer()
        b = data(op, 3)
        x0 = np.zeros(op.input_shape)
        m, n = op.shape
        for given, start, numbers in [
            (b, None, 0),
            (b.tolist(), None, 3 * m),
            (b.astype("float32"), None, 3 * m),
            (b.reshape(3, -1).T, None, 0),  # columns of a transpose are rows
            (np.asfortranarray(b), None, 3 * m),
            (b, np.zeros((3, *op.input_shape)), 0),
            (b, x0, 3 * n),
        ]:
            layout = Layout(op, given, start)
            assert copied(layout, given, start) == 8 * numbers

    def test_slices_are_the_largest_that_fit(self):
        op = layer()
        estimate = estimate_of(op, data(op, 20), "cgls")
        for items in range(1, 19):
            limit = estimate.sliced(items)
            assert estimate.fitting(limit) == items
            assert estimate.fitting(limit - 1) == items - 1
        assert estimate.fitting(estimate.bytes(20)) == 20
        for items in (1, 3, 6, 7, 13):
            parts = slices.slices_of(estimate, estimate.sliced(items))
            sizes = [part.stop - part.start for part in parts]
            assert sum(sizes) == 20 and max(sizes) <= items
            assert max(sizes) - min(sizes) <= 1


AUTOMATIC = {"auto": (1e-6, False)}


def check_equal(one, other, rtol=1e-9, same_way=True):
    """Two results that a caller can't tell from each other, but by the way there."""
    assert type(one.x) is type(other.x) and one.x.dtype == other.x.dtype
    assert one.x.shape == other.x.shape
    np.testing.assert_allclose(other.x, one.x, rtol=rtol, atol=rtol * abs(one.x).max())
    assert one.success == other.success and one.status == other.status
    if not same_way:
        return
    for name in ("message", "nit", "method"):
        assert getattr(one, name) == getattr(other, name), name
    for name in ("residual_norm", "normal_residual_norm", "history"):
        a, b = (getattr(result, name) for result in (one, other))
        assert a.shape == b.shape
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-9)  # b is about 100
    extra, others = (
        {k: v for k, v in result.extra.items() if k not in ("slices", "plan")}
        for result in (one, other)
    )
    assert set(extra) == set(others)
    assert extra["status"] == others["status"]
    for name in ("success", "nit"):
        np.testing.assert_array_equal(extra[name], others[name])


VARIANTS = {
    "cgls": {},
    "lsmr": {},
    "auto": {},
    "strip": {},
    "gmres": {"normal": True, "maxiter": 20},
    "kaczmarz": {"maxiter": 40},
    "direct": {},
}


class TestSlices:
    @pytest.mark.parametrize("method", VARIANTS)
    @pytest.mark.parametrize("damp", [0.0, 0.5])
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_equal_the_whole(self, sliced, method, damp, dtype):
        op = layer((6, 2, 3, 3), 7, dtype)
        b = data(op, 7, noise=0.0)
        arguments = {"damp": damp, "rtol": 1e-8, **VARIANTS[method]}
        whole = quietly(op, b, method, **arguments)
        for size, count in ((3, 3), (1, 7), (7, 1)):
            sliced(size)
            found = quietly(op, b, method, max_memory="1GB", **arguments)
            assert found.extra["slices"] == count
            # "auto" takes what earlier solves have set up
            check_equal(whole, found, *AUTOMATIC.get(method, ()))
        assert "slices" not in whole.extra

    @pytest.mark.parametrize("form", ["columns", "deep", "flat items"])
    @pytest.mark.parametrize("start", [None, "whole", "item"])
    def test_shapes_and_starts(self, sliced, form, start):
        op = layer(size=7)
        b = data(op, 6)
        x0 = None
        if start:
            x0 = np.random.default_rng(3).standard_normal((6, *op.input_shape))
            x0 = x0 if start == "whole" else x0[0]
        if form == "columns":
            b = b.reshape(6, -1).T
            x0 = x0.reshape(6, -1).T if start == "whole" else x0
            x0 = x0.ravel() if start == "item" else x0
        elif form == "deep":
            b = b.reshape(2, 3, *op.output_shape)
            x0 = x0.reshape(2, 3, *op.input_shape) if start == "whole" else x0
        whole = solve(op, b, "cgls", x0=x0)
        sliced(2)
        found = solve(op, b, "cgls", x0=x0, max_memory=1)
        assert found.extra["slices"] == 3
        check_equal(whole, found)

    def test_an_operator_without_more_than_products(self, sliced):
        matrix = np.random.default_rng(0).standard_normal((30, 12)) + 4 * np.eye(30, 12)
        b = np.random.default_rng(1).standard_normal((5, 30))
        whole = solve(aslinearoperator(matrix), b)
        sliced(2)
        check_equal(whole, solve(aslinearoperator(matrix), b, max_memory=1))

    def test_items_that_end_early_keep_their_last_norm(self, sliced):
        op = layer(size=7)
        b = data(op, 4)
        b[1] = 0
        x0 = np.zeros((4, *op.input_shape))
        x0[0] = solve(op, b[0], rtol=1e-12).x
        sliced(1)
        found = solve(op, b, "cgls", x0=x0, max_memory=1)
        assert found.success and list(found.extra["nit"][:2]) == [0, 0]
        assert found.history.shape == (found.nit, 4)
        np.testing.assert_allclose(found.history[:, 0], found.residual_norm[0])
        assert not found.history[:, 1].any() and not found.x[1].any()

    def test_nothing_to_do(self, sliced):
        op = layer(size=7)
        sliced(1)
        found = solve(op, np.zeros((3, *op.output_shape)), max_memory=1)
        assert found.success and found.nit == 0 and found.history.shape == (0, 3)

    def test_one_slice_that_fails_warns_once(self, sliced):
        op = layer(size=7)
        b = np.zeros((5, *op.output_shape))
        b[2] = data(op)
        sliced(2)
        with pytest.warns(ConvergenceWarning, match="iteration limit") as caught:
            found = solve(op, b, "cgls", maxiter=2, max_memory=1)
        assert len(caught) == 1 and caught[0].filename == __file__
        good = [True, True, False, True, True]
        assert not found.success and found.status is Status.MAXITER
        assert list(found.extra["success"]) == good
        assert [s is Status.CONVERGED for s in found.extra["status"]] == good

    def test_all_fail(self, sliced):
        op = layer(size=7)
        sliced(2)
        with pytest.warns(ConvergenceWarning) as caught:
            solve(op, data(op, 6), "cgls", maxiter=2, max_memory=1)
        assert len(caught) == 1

    def test_the_message_of_the_slice_that_went_furthest(self, sliced, monkeypatch):
        """One that needs the second choice decides on method and message."""
        choice = convinv._solve.front.Choice
        first = choice("direct", "no memory", {"memory": 1000})
        last = choice("cgls", "the last")
        chosen = lambda op, **_: [first, last]  # noqa: E731
        monkeypatch.setattr("convinv._solve.front.choose", chosen)
        op = layer((8, 1, 3, 3), 30)
        b = np.zeros((3, *op.output_shape))
        b[1] = data(op)
        whole = solve(op, b, rtol=1e-12)
        sliced(1)
        found = solve(op, b, rtol=1e-12, max_memory=1)
        assert found.method == whole.method == "cgls"
        assert found.message == whole.message and "the last" in found.message
        np.testing.assert_allclose(found.x, whole.x, atol=1e-9)

    def test_a_rule_chooses_one_damp_for_all(self, sliced):
        op = layer(size=7)
        b = data(op, 5, noise=0.5)
        whole = solve(op, b, "cgls", damp="gcv")
        sliced(2)
        found = solve(op, b, "cgls", damp="gcv", max_memory=1)
        assert found.extra["damp"] == whole.extra["damp"] > 0
        check_equal(whole, found)

    def test_one_generator_for_all(self, sliced):
        op = layer(size=7)
        b = data(op, 1, noise=0)
        b = np.concatenate([b, b])
        sliced(1)
        solve_it = lambda: quietly(  # noqa: E731
            op, b, "rk", maxiter=3, rng=4, max_memory=1
        ).x
        x = solve_it()
        np.testing.assert_array_equal(x, solve_it())
        assert np.any(x[0] != x[1])

    def test_progress(self, sliced, capfd):
        op = layer(size=7)
        sliced(1)
        found = solve(op, data(op, 2), "cgls", maxiter=400, progress=True, max_memory=1)
        err = capfd.readouterr().err
        assert f"{found.extra['nit'].sum()}/800" in err

    def test_array_api(self, sliced):
        strict = pytest.importorskip("array_api_strict")
        matrix = np.random.default_rng(0).standard_normal((30, 12)) + 4 * np.eye(30, 12)

        A, AH = strict.asarray(matrix), strict.asarray(matrix.T)

        class Plain:
            shape, dtype = matrix.shape, "float64"
            matvec = matmat = staticmethod(lambda x: A @ x)
            rmatvec = rmatmat = staticmethod(lambda y: AH @ y)

        b = np.random.default_rng(1).standard_normal((5, 30))
        sliced(2)
        found = solve(Plain(), strict.asarray(b), "cgls", rtol=1e-12, max_memory=1)
        expected = np.linalg.lstsq(matrix, b.T, rcond=None)[0].T
        assert found.x.__array_namespace__() is strict
        np.testing.assert_allclose(np.asarray(found.x), expected, atol=1e-8)


class TestCallback:
    def test_states(self, sliced):
        op = layer(size=7)
        b = data(op, 5)
        x0 = np.random.default_rng(0).standard_normal((5, *op.input_shape))
        states = []

        def callback(state):
            states.append((state.nit, state.x, state.residual_norm))

        sliced(2)
        found = solve(op, b, "cgls", x0=x0, callback=callback, max_memory=1)
        assert [nit for nit, *_ in states] == list(range(1, len(states) + 1))
        assert all(x.shape == found.x.shape for _, x, _ in states)
        first, last = states[0], states[-1]
        np.testing.assert_array_equal(first[1][1:], x0[1:])
        assert np.isnan(first[2][1:]).all() and np.isfinite(first[2][0])
        np.testing.assert_allclose(last[1], found.x)
        np.testing.assert_allclose(last[2], found.residual_norm, rtol=1e-6)

    @pytest.mark.parametrize("start", [False, True])
    def test_stopping_ends_all(self, sliced, start):
        op = layer(size=7)
        b = data(op, 5)
        b[4] = 0
        x0 = np.random.default_rng(0).standard_normal((5, *op.input_shape))
        x0[4] = 0
        x0 = x0 if start else None
        calls = []

        def callback(state):
            calls.append(state.nit)
            return state.nit == 3

        sliced(1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = solve(op, b, "cgls", x0=x0, callback=callback, max_memory=1)
        assert calls == [1, 2, 3] and found.status is Status.STOPPED
        assert found.method == "cgls" and found.nit == 3
        assert found.extra["status"] == [Status.STOPPED] * 4 + [Status.CONVERGED]
        rest = np.zeros_like(found.x) if x0 is None else x0
        np.testing.assert_allclose(found.x[1:], rest[1:])
        norms = np.linalg.norm((b - op.forward(found.x)).reshape(5, -1), axis=1)
        np.testing.assert_allclose(found.residual_norm, norms)


class TestTooLittle:
    def test_one_item_must_fit(self):
        op = layer()
        for b in (data(op), data(op, 3)):
            estimate = estimate_of(op, b, "cgls")
            with pytest.raises(MemoryError, match=r"1 kB.* needs about .* kB"):
                solve(op, b, "cgls", max_memory="1kB")
            enough = estimate.sliced(1)
            assert solve(op, b, "cgls", max_memory=enough).success
            with pytest.raises(MemoryError):
                solve(op, b, "cgls", max_memory=enough - 1)

    def test_before_any_work(self, monkeypatch):
        op = layer()
        b = data(op, 3)
        monkeypatch.setattr("convinv._solve.front.Run", None)
        with pytest.raises(MemoryError, match="of it for all"):
            solve(op, b.astype("float32"), max_memory=100)

    def test_a_single_right_hand_side(self):
        op = layer()
        b = data(op)
        found = solve(op, b, max_memory="1GB")
        assert found.extra["slices"] == 1
        np.testing.assert_allclose(found.x, solve(op, b).x, rtol=1e-5, atol=1e-5)


class Full(LinearOperator):
    """An operator whose products find no memory, all or those of a whole batch."""

    def __init__(self, error, items=0):
        self.error, self.items, self.held = error, items, []
        super().__init__("float64", (30, 20))

    def _rmatmat(self, Y):
        if Y.any() and Y.shape[1] > self.items:
            raise self.error
        return np.eye(20, 30) @ Y

    def _matmat(self, X):
        return np.eye(30, 20) @ X


def numpy_error():
    try:
        np.empty(2**59)
    except MemoryError as error:
        return error


class TestNoMemory:
    b = np.random.default_rng(0).standard_normal((8, 30))

    def test_numpy(self):
        original = numpy_error()
        with pytest.raises(type(original), match="8 right-hand sides.*max_memory") as e:
            solve(Full(original), self.b, "cgls")
        assert isinstance(e.value, MemoryError) and e.value.__cause__ is original
        copy = pickle.loads(pickle.dumps(e.value))
        assert type(copy) is MemoryError and str(copy) == str(e.value)

    def test_its_advice_helps(self):
        op = Full(MemoryError(), items=5)
        with pytest.raises(MemoryError, match="max_memory='") as caught:
            solve(op, self.b, "cgls")
        advice = str(caught.value).split("max_memory='")[1].split("'")[0]
        found = solve(op, self.b, "cgls", max_memory=advice)
        assert found.success and found.extra["slices"] > 1

    def test_one_right_hand_side(self):
        with pytest.raises(MemoryError, match="one right-hand side.*precision") as e:
            solve(Full(MemoryError()), self.b[0], "cgls")
        assert "max_memory" not in str(e.value)

    def test_in_the_choice_of_damp(self, monkeypatch):
        def choose(*_):
            raise MemoryError("none")

        op = layer()
        monkeypatch.setattr(convinv._regularize.damp_rule.Rule, "choose", choose)
        with pytest.raises(MemoryError, match="2 right-hand sides"):
            solve(op, data(op, 2), damp="gcv")

    def test_arrays_of_the_failed_solve_are_freed(self):
        """The frames that are kept with the error hold none."""

        def work():
            large = np.zeros(2**20)
            raise MemoryError(large.size)

        op = layer()
        tracemalloc.start()
        try:
            with pytest.raises(MemoryError) as caught:
                work()
            before = tracemalloc.get_traced_memory()[0]
            explained(caught.value, estimate_of(op, data(op), "cgls"))
            assert before - tracemalloc.get_traced_memory()[0] > 2**22
        finally:
            tracemalloc.stop()

    def test_methods_that_do_not_declare_anything(self, monkeypatch):
        import dataclasses

        entry = dataclasses.replace(METHODS["cgls"], name="silent", vectors="")
        monkeypatch.setitem(METHODS, "silent", entry)
        with pytest.raises(MemoryError, match="^none$"):
            solve(Full(MemoryError("none")), self.b, "silent")
        with pytest.raises(ValueError, match="does not declare"):
            solve(np.eye(30, 20), self.b, "silent", max_memory="1GB")


class OutOfMemoryError(MemoryError):
    """As the device library's: it is made from numbers."""

    def __init__(self, size, total, limit=0):
        super().__init__(f"allocating {size:,} bytes ({total:,}, {limit:,})")


class TestDevice:
    """What the message says of a device; its library is a stand-in of three names."""

    @pytest.fixture
    def estimate(self, monkeypatch):
        op = layer()
        found = estimate_of(op, data(op, 10), "cgls")
        pool = types.SimpleNamespace(free_bytes=lambda: 1000)
        library = types.SimpleNamespace(
            ndarray=type("ndarray", (), {}), get_default_memory_pool=lambda: pool
        )
        monkeypatch.setitem(sys.modules, "cupy", library)
        found.layout.xp = library

        def free(count):
            device = types.SimpleNamespace(mem_info=(count - 1000, 10**9))
            found.layout.b = types.SimpleNamespace(device=device)

        found.free = free
        return found

    def explained(self, estimate):
        original = OutOfMemoryError(10, 20)
        error = explained(original, estimate)
        assert isinstance(error, OutOfMemoryError)
        return str(error)

    def test_a_batch_of_which_some_fit(self, estimate):
        estimate.free(int(estimate.sliced(4) / 0.9) + 1)
        text = self.explained(estimate)
        assert "10 right-hand sides" in text and "are free" in text
        assert text.endswith("slices of at most 4")

    def test_not_even_one(self, estimate):
        estimate.free(2000)
        text = self.explained(estimate)
        assert "2 kB are free" in text and "one alone needs" in text
        assert "max_memory" not in text


class TestOnTheStandIn:
    """Slices and errors of solves on device arrays, which the host emulates."""

    @pytest.fixture
    def cupy(self):
        from support.cuda_host import installed

        with installed() as module:
            yield module

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_slices(self, cupy, sliced, dtype):
        host = layer(size=7, dtype=dtype)
        b = data(host, 3).astype(dtype)
        device = ConvLinearOperator(cupy.asarray(host.kernel), host.input_shape)
        sliced(2)
        found = solve(device, cupy.asarray(b), "cgls", rtol=1e-5, max_memory=1)
        assert isinstance(found.x, cupy.ndarray) and found.extra["slices"] == 2
        expected = solve(host, b, "cgls", rtol=1e-5)
        np.testing.assert_allclose(found.x.get(), expected.x, atol=1e-3)

    def test_no_memory(self, cupy, monkeypatch):
        host = layer(size=7)
        b = cupy.asarray(data(host, 3))
        device = ConvLinearOperator(cupy.asarray(host.kernel), host.input_shape)
        estimate = estimate_of(device, b, "cgls")
        free = int(estimate.sliced(2) / 0.9) + 1
        monkeypatch.setattr(type(b.device), "mem_info", (free, 2**40), raising=False)
        pool = types.SimpleNamespace(free_bytes=lambda: 0)
        monkeypatch.setattr(
            cupy, "get_default_memory_pool", lambda: pool, raising=False
        )

        def fail(*_, **options):
            raise OutOfMemoryError(10, 20)

        monkeypatch.setattr(convinv._solve.front.Run, "solve", fail)
        with pytest.raises(OutOfMemoryError, match="are free; max_memory") as caught:
            solve(device, b, "cgls")
        assert isinstance(caught.value.__cause__, OutOfMemoryError)
        assert str(caught.value).endswith("at most 2")
