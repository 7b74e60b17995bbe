"""The solver contract: every registered method on every problem that it takes."""

import contextlib
import dataclasses
import functools
import re
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import convinv
from convinv import ConvergenceWarning, ConvLinearOperator, Status, methods, solve
from convinv._closed_forms.forms import closed_form
from convinv.precondition import Jacobi
from support.arrays import BOUNDARIES, DTYPES, every_dtype, normal

METHODS = {m.name: m for m in methods()}
# Beside every method as it comes: (method, arguments of solve).
VARIANTS = {
    **{name: (name, {}) for name in METHODS},
    "gmres restart": ("gmres", {"restart": 7}),
    "gmres normal": ("gmres", {"normal": True}),
    "gradient fixed": ("gradient", {"step": "fixed"}),
    "gradient adam": ("gradient", {"step": "adam", "step_size": 0.02}),
    "kaczmarz symmetric": ("kaczmarz", {"symmetric": True, "relaxation": 1.3}),
    "kaczmarz random": ("kaczmarz", {"order": "random", "rng": 3}),
    "rk": ("rk", {"rng": 3}),
    "rek": ("rek", {"rng": 3}),
    "gauss-seidel symmetric": ("gauss-seidel", {"symmetric": True}),
    "rbk": ("rbk", {"rng": 3}),  # the same blocks every time
    "rbk cyclic": ("rbk", {"order": "cyclic", "partition": "interleaved"}),
    "strip average": ("strip", {"overlap": "average"}),
    "strip symmetric": ("strip", {"symmetric": True}),
    "strip refine": ("strip", {"refine": True}),
    "cgls jacobi": ("cgls", {"preconditioner": "jacobi"}),
    "lsqr jacobi": ("lsqr", {"preconditioner": "jacobi"}),
    "lsmr jacobi": ("lsmr", {"preconditioner": "jacobi"}),
    "gmres jacobi": ("gmres", {"preconditioner": "jacobi"}),
    "cg jacobi": ("cg", {"preconditioner": "jacobi"}),
    "cgls circulant": ("cgls", {"preconditioner": "circulant"}),
    "gmres circulant": ("gmres", {"preconditioner": "circulant"}),
    "cg circulant": ("cg", {"preconditioner": "circulant"}),
    "cgls schwarz": ("cgls", {"preconditioner": "schwarz"}),
    "lsqr schwarz": ("lsqr", {"preconditioner": "schwarz"}),
    "lsmr schwarz": ("lsmr", {"preconditioner": "schwarz"}),
    "gmres schwarz": ("gmres", {"preconditioner": "schwarz"}),
    "cg schwarz": ("cg", {"preconditioner": "schwarz"}),
}
VARIANTS = {k: v for k, v in VARIANTS.items() if v[0] in METHODS}
# What methods and preconditioners ask of a layer beside what the registry says.
TAKES = {
    "spectral": lambda op: closed_form(op) is not None,
    "direct": lambda op: is_local(op),
    "schwarz": lambda op: is_local(op),
}

# Methods that need b in the range of A; in number of steps they are like "gradient".
CONSISTENT = ("adbk", "fdbk", "gbk", "rshk")
STEEPEST = ("gradient", "gradient fixed", "gradient adam", "rshek", *CONSISTENT)
GREEDY = ("adbk", "fdbk", "gbk")  # rounding decides which rows they take

ROW_ACTIONS = ("kaczmarz", "kaczmarz symmetric", "kaczmarz random", "rk")

# (variant, problem): the methods' limits, where they need not succeed. A "*" is any.
MAY_FAIL = {
    *((v, "ill-conditioned") for v in ("gradient", "gradient fixed")),
    ("gradient adam", "*"),
    # sweeps over strips that determine their unknowns end with the status STALLED
    *((v, "inconsistent") for v in ("strip", "strip average", "strip symmetric")),
    *((v, "both") for v in ("strip", "strip average", "strip symmetric")),
    # rows that contradict each other
    *((v, p) for v in ROW_ACTIONS for p in ("inconsistent", "both")),
    # sweeps are as slow as gradient descent there
    *((v, "ill-conditioned") for v in (*ROW_ACTIONS, "rek")),
    *((v, "ill-conditioned") for v in ("gauss-seidel", "gauss-seidel symmetric")),
    # blocks that contradict each other
    *((v, p) for v in ("rbk", "rbk cyclic") for p in ("inconsistent", "both")),
    *((v, p) for v in CONSISTENT for p in ("inconsistent", "both", "operator")),
    *((v, "groups") for v in ("rshek", "gradient fixed")),
    *((v, "groups") for v in ("rk", "rek")),  # from afar, more than 3000 sweeps
    # too slow: less than 1 % in 100 steps counts as none
    *((v, "ill-conditioned") for v in (*CONSISTENT, "rshek")),
    # an inverse of a matrix that has none: they say so
    *(
        (v, p)
        for v in ("direct", *(k for k in VARIANTS if "schwarz" in k))
        for p in ("rank-deficient", "both")
    ),
}
MAY_FAIL_WITH_DAMP = {
    ("strip average", "*"),  # solves in another norm
    ("strip symmetric", "over, two channels"),
    ("strip", "torus"),  # stalls
    ("rbk", "torus"),  # takes more than 5000 iterations
    # so do rows in order: what is outside the range of A leaves at a rate of damp^2
    *(("kaczmarz", p) for p in ("over", "3-D", "torus")),
    *(
        ("kaczmarz symmetric", p)
        for p in ("over", "over, two channels", "3-D", "strided", "groups", "torus")
    ),
}
LOOSE = 1e-4  # a tolerance that all methods and precisions can reach
SLOW = {  # tolerances of methods that take too long to what the others reach
    "gradient": 1e-3,
    "gradient fixed": 1e-3,
    **dict.fromkeys(("rshek", *CONSISTENT), 1e-3),
    "strip": LOOSE,
    "strip average": LOOSE,
    "strip symmetric": LOOSE,
}


def is_local(op):
    """Whether no sample is a neighbour of one at the other end of the image."""
    g = op.geometry
    return g.boundary != "periodic" or not any(g.before + g.after)


def centre(shape):
    """A kernel that is the identity of every channel pair (c, c)."""
    kernel = np.zeros(shape)
    for c in range(min(shape[:2])):
        kernel[(c, c, *(k // 2 for k in shape[2:]))] = 1
    return kernel


def random_layer(shape, input_shape, shift=0.0, scale=1.0, **options):
    def make(rng, dtype):
        kernel = scale * normal(rng, shape, dtype) + shift * centre(shape)
        return ConvLinearOperator(kernel.astype(dtype), input_shape, **options)

    return make


def definite(rng, dtype):
    kernel = 0.1 * normal(rng, (2, 2, 3, 3), dtype)
    kernel = kernel + np.flip(kernel, (2, 3)).swapaxes(0, 1).conj()
    kernel = kernel + 3 * centre((2, 2, 3, 3))
    return ConvLinearOperator(kernel.astype(dtype), (2, 5, 6), padding=1)


def blur(rng, dtype):
    g = np.exp(-0.5 * (np.arange(-2, 3) / 0.8) ** 2)
    kernel = np.outer(g, g).reshape(1, 1, 5, 5) / g.sum() ** 2
    kernel = kernel.astype(dtype)
    return ConvLinearOperator(kernel, (1, 8, 7), padding=2, boundary="reflect")


def tall(form):
    def make(rng, dtype):
        matrix = normal(rng, (40, 25), dtype) + 5 * np.eye(40, 25, dtype=dtype)
        return form(matrix.astype(dtype))

    return make


# name: (operator, whether b is in its range)
PROBLEMS = {
    "over": (random_layer((6, 1, 3, 3), (1, 7, 8)), True),
    "over, two channels": (random_layer((8, 2, 3, 3), (2, 6, 7)), True),
    "under": (random_layer((1, 2, 3, 3), (2, 6, 6), 2.0, 0.3, padding=1), True),
    "square": (random_layer((2, 2, 3, 3), (2, 5, 6), 2.0, 0.2, padding="same"), True),
    "definite": (definite, True),
    "rank-deficient": (random_layer((2, 1, 3, 3), (1, 7, 7)), True),
    "ill-conditioned": (blur, True),
    "inconsistent": (random_layer((6, 1, 3, 3), (1, 7, 8)), False),
    "both": (random_layer((2, 1, 3, 3), (1, 7, 7)), False),
    "1-D": (
        random_layer(
            (3, 2, 4), (2, 15), 1.5, 0.5, padding=((1, 2),), boundary="periodic"
        ),
        True,
    ),
    "3-D": (random_layer((6, 1, 2, 2, 2), (1, 4, 3, 5)), True),
    "strided": (random_layer((8, 1, 3, 3), (1, 9, 9), stride=2), True),
    "groups": (random_layer((8, 1, 3, 3), (2, 6, 6), groups=2, flip=True), True),
    "torus": (
        random_layer((6, 1, 3, 3), (1, 6, 7), padding="same", boundary="periodic"),
        True,
    ),
    "torus, strided": (
        random_layer((2, 1, 3, 3), (1, 6, 8), padding=1, stride=2, boundary="periodic"),
        True,
    ),
    "operator": (tall(aslinearoperator), False),
    "sparse": (tall(sparse.csr_array), True),
    "dense": (tall(np.asarray), True),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """An operator, its matrix in double precision, and data."""

    op: object
    A: np.ndarray
    x: np.ndarray
    b: np.ndarray

    @property
    def is_conv(self):
        return isinstance(self.op, ConvLinearOperator)

    @property
    def is_square(self):
        return self.A.shape[0] == self.A.shape[1]

    @functools.cached_property
    def is_hermitian(self):
        return self.is_square and np.allclose(self.A, self.A.conj().T, atol=1e-5)

    @functools.cached_property
    def singular(self):
        s = np.linalg.svd(self.A, compute_uv=False)
        return s[s >= 1e-5 * s[0]]

    @functools.cached_property
    def pinv(self):
        return np.linalg.pinv(self.A, rcond=1e-5)


def matrix_of(op):
    if isinstance(op, ConvLinearOperator):
        op = op.astype(np.result_type(op.dtype, "float64")).tosparse()
    if isinstance(op, LinearOperator):
        op = op @ np.eye(op.shape[1])
    matrix = op.toarray() if sparse.issparse(op) else np.asarray(op)
    return matrix.astype(np.result_type(matrix.dtype, "float64"))


@functools.cache
def case(problem, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    make, consistent = PROBLEMS[problem]
    op = make(rng, dtype)
    A = matrix_of(op)
    x = normal(rng, A.shape[1], dtype)
    b = A @ x
    if not consistent:
        b = b + np.linalg.norm(b) / np.sqrt(b.size) * normal(rng, b.size, dtype)
    b = b.astype(dtype)
    b.flags.writeable = False
    return Case(op, A, x, b)


def applies(variant, c):
    """Whether a variant takes the operator of case `c`, from what the registry says."""
    name, arguments = VARIANTS[variant]
    method = METHODS[name]
    if method.square and not arguments.get("normal") and not c.is_square:
        return False
    if method.hermitian and not c.is_hermitian:
        return False
    named = arguments.get("preconditioner")
    if not c.is_conv:
        rows = not isinstance(c.op, LinearOperator) or not method.needs_rows
        return rows and not (method.conv_only or named)
    return all(TAKES[key](c.op) for key in (name, named) if key in TAKES)


def takes_products(name):
    """Whether a method takes operators that have nothing but products."""
    return not (METHODS[name].conv_only or METHODS[name].needs_rows)


def takes_damp(variant):
    name, arguments = VARIANTS[variant]
    return METHODS[name].damp and (name != "gmres" or arguments.get("normal", False))


def finds_minimum_norm(variant):
    name, arguments = VARIANTS[variant]
    if arguments.get("step") == "adam" or "preconditioner" in arguments:
        return False
    return METHODS[name].minimum_norm or arguments.get("normal", False)


def may_fail(variant, problem, limits=MAY_FAIL):
    return bool({(variant, problem), (variant, "*")} & limits)


def run(variant, op, b, **kwargs):
    """solve() with a variant's arguments; (result, warnings)."""
    name, arguments = VARIANTS[variant]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = solve(op, b, name, **{**arguments, **kwargs})
    return result, caught


def norms(c, x, damp=0.0, b=None):
    x = np.asarray(x).reshape(-1)
    r = (c.b if b is None else b.reshape(-1)).astype(c.A.dtype) - c.A @ x
    return np.linalg.norm(r), np.linalg.norm(c.A.conj().T @ r - damp**2 * x)


def is_solution(c, x, rtol, atol=0.0, damp=0.0, b=None):
    """The promise of `success`, from the matrix."""
    b = (c.b if b is None else b.reshape(-1)).astype(c.A.dtype)
    residual, gradient = norms(c, x, damp, b)
    size = np.linalg.norm(b)
    floor = 4 * np.finfo(x.dtype).eps * c.singular[0] * size
    slack = 1 + 1e-6
    return (not damp and residual <= slack * max(rtol * size, atol)) or (
        gradient <= slack * max(rtol * np.linalg.norm(c.A.conj().T @ b), floor)
    )


def check_one_truth(result, caught, maxiter=None):
    """success, status, message, history, nit and the warning agree."""
    assert result.success == (result.status is Status.CONVERGED)
    assert result.status.value in result.message
    assert len(result.history) == result.nit
    assert maxiter is None or result.nit <= maxiter
    assert np.all(np.isfinite(result.x))
    if result.success or result.status is Status.STOPPED:
        assert not caught
    else:
        assert [w.category for w in caught] == [ConvergenceWarning]
        assert result.message in str(caught[0].message)
        assert caught[0].filename == __file__


def ids(problem):
    return problem.replace(" ", "-").replace(",", "")


def pairs(condition=lambda variant, problem: True):
    """Every variant with every problem that it takes and that meets a condition."""
    chosen = [
        pytest.param(variant, problem, id=ids(f"{variant}-{problem}"))
        for variant in VARIANTS
        for problem in PROBLEMS
        if applies(variant, case(problem)) and condition(variant, problem)
    ]
    return pytest.mark.parametrize(("variant", "problem"), chosen)


variants = pytest.mark.parametrize("variant", VARIANTS)
every_method = pytest.mark.parametrize("method", METHODS)


def easy(method, dtype="float64"):
    """(case, arguments of solve) of a problem that a method solves fast."""
    entry = METHODS[method]
    problem = "definite" if entry.hermitian else "square" if entry.square else "over"
    if method == "spectral":
        problem = "torus"
    return case(problem, dtype), {"method": method, "rng": 0}


class TestAnswers:
    @pairs()
    def test_reaches_its_tolerance(self, variant, problem):
        for dtype in DTYPES:
            c = case(problem, dtype)
            maxiter = 200 if may_fail(variant, problem) else 3000
            result, caught = run(variant, c.op, c.b, rtol=LOOSE, maxiter=maxiter)
            check_one_truth(result, caught, maxiter)
            assert result.x.dtype == dtype and result.method == VARIANTS[variant][0]
            solved = is_solution(c, result.x, LOOSE)
            assert solved == result.success or not result.success
            assert result.success or may_fail(variant, problem), result
            residual, gradient = norms(c, result.x)
            rounding = np.finfo(float).eps * c.singular[0]
            size = np.linalg.norm(c.b)
            got = (result.residual_norm, result.normal_residual_norm)
            assert abs(got[0] - residual) <= 1e-6 * residual + 100 * rounding * size
            assert (
                abs(got[1] - gradient)
                <= 1e-6 * gradient + 100 * rounding * size * c.singular[0]
            )

    @pairs(lambda variant, problem: not may_fail(variant, problem))
    def test_agrees_with_the_pseudoinverse(self, variant, problem):
        for dtype in ("float64", "complex128"):
            c = case(problem, dtype)
            rtol = SLOW.get(variant, 1e-8)
            result, _ = run(variant, c.op, c.b, rtol=rtol, maxiter=5000)
            assert result.success
            best, x = c.pinv @ c.b, result.x
            own = c.pinv @ (c.A @ x)  # the part of x in the row space
            residual, gradient = norms(c, x)
            bound = gradient / c.singular[-1] ** 2
            if PROBLEMS[problem][1]:
                bound = min(bound, residual / c.singular[-1])
            floor = 1e-11 * np.linalg.norm(x)
            assert np.linalg.norm(own - best) <= 1.001 * bound + floor
            if finds_minimum_norm(variant):
                assert np.linalg.norm(x - own) <= 1e-9 * np.linalg.norm(x)

    @pairs(lambda variant, problem: not may_fail(variant, problem))
    def test_history_ends_at_the_truth(self, variant, problem):
        c = case(problem)
        result, _ = run(variant, c.op, c.b, rtol=LOOSE)
        truths = result.residual_norm, result.normal_residual_norm
        floor = 1e-13 * c.singular[0] ** 2 * np.linalg.norm(c.x)
        assert min(abs(result.history[-1] - t) - 1e-3 * t for t in truths) <= floor

    @pytest.mark.parametrize("damp", [0.3, 2.0])
    @pairs(lambda variant, problem: takes_damp(variant) and case(problem).is_conv)
    def test_damp_is_tikhonov(self, variant, problem, damp):
        if damp < 1 and may_fail(variant, "*", MAY_FAIL | MAY_FAIL_WITH_DAMP):
            return  # after thousands of iterations
        c = case(problem)
        rtol = SLOW.get(variant, 1e-9)
        result, caught = run(variant, c.op, c.b, damp=damp, rtol=rtol, maxiter=5000)
        check_one_truth(result, caught)
        gram = c.A.T @ c.A + damp**2 * np.eye(c.A.shape[1])
        expected = np.linalg.solve(gram, c.A.T @ c.b)
        if not result.success:
            assert may_fail(variant, problem, MAY_FAIL | MAY_FAIL_WITH_DAMP), result
            return
        tolerance = rtol * np.linalg.norm(c.A.T @ c.b) / damp**2
        assert np.linalg.norm(result.x - expected) <= 1.01 * tolerance + 1e-10
        assert is_solution(c, result.x, rtol, damp=damp)

    def test_damp_needs_the_normal_equations(self):
        c = case("square")
        with pytest.raises(ValueError, match="normal=True"):
            solve(c.op, c.b, "gmres", damp=1.0)

    def test_damp_with_a_starting_point(self):
        c = case("over")
        for variant in filter(takes_damp, VARIANTS):
            limits = MAY_FAIL | MAY_FAIL_WITH_DAMP
            if may_fail(variant, "over", limits) or not applies(variant, c):
                continue
            x0 = normal(np.random.default_rng(1), c.x.size)
            rtol = SLOW.get(variant, 1e-9)
            result, _ = run(variant, c.op, c.b, damp=0.7, x0=x0, rtol=rtol)
            assert result.success, variant
            assert is_solution(c, result.x, rtol, damp=0.7), variant

    def test_auto(self):
        assert solve(case("over").op, case("over").b).method in METHODS
        assert solve(case("sparse").op, case("sparse").b).method in METHODS
        D = case("square").A
        only_forward = LinearOperator(D.shape, matvec=lambda v: D @ v, dtype=float)
        result = solve(only_forward, case("square").b)
        assert result.success and not METHODS[result.method].needs_adjoint

    @pytest.mark.parametrize("rtol", [0.0, 1e-12, 1e-3])
    @pytest.mark.parametrize("atol", [0.0, 1e-2, 1e3])
    @pytest.mark.parametrize("problem", ["over", "inconsistent", "rank-deficient"])
    def test_tolerances(self, problem, rtol, atol):
        c = case(problem)
        result, caught = run("cgls", c.op, c.b, rtol=rtol, atol=atol, maxiter=500)
        check_one_truth(result, caught, 500)
        assert not result.success or is_solution(c, result.x, rtol, atol)
        if atol == 1e3:
            assert result.success and result.nit == 0 and not result.x.any()
        if rtol == 1e-3 or atol == 1e-2 and problem == "over":
            assert result.success


class TestStarts:
    @every_dtype
    @every_method
    def test_no_iterations(self, method, dtype):
        c, arguments = easy(method)
        b = c.b.astype(dtype)
        with pytest.warns(ConvergenceWarning, match="iteration limit"):
            result = solve(c.op, b, **arguments, maxiter=0)
        assert result.status is Status.MAXITER and not result.success
        assert result.nit == 0 and result.history.shape == (0,)
        assert not result.x.any() and result.x.shape == c.x.shape
        assert result.residual_norm == pytest.approx(np.linalg.norm(b))

    @every_method
    def test_one_iteration(self, method):
        c, arguments = easy(method)
        calls = []
        result, _ = run(
            arguments["method"], c.op, c.b, maxiter=1, rtol=1e-13, callback=calls.append
        )
        assert result.nit == 1 == len(calls) and result.history.shape == (1,)
        assert result.residual_norm < np.linalg.norm(c.b)

    @pytest.mark.parametrize("x0", [None, 1.0])
    @variants
    def test_zero_b(self, variant, x0):
        c, _ = easy(VARIANTS[variant][0])
        b = np.zeros((2, *c.op.output_shape), "float32")
        x0 = None if x0 is None else np.full((2, *c.op.input_shape), x0)
        result, caught = run(variant, c.op, b, x0=x0)
        check_one_truth(result, caught)
        assert result.success and result.nit == 0
        assert result.x.shape == (2, *c.op.input_shape) and result.x.dtype == "float64"
        assert not result.x.any() and result.x.flags.writeable
        assert not np.any(result.residual_norm)
        assert not np.any(result.normal_residual_norm)

    @variants
    def test_exact_starting_point(self, variant):
        c, _ = easy(VARIANTS[variant][0])
        x0 = c.x.copy()
        result, caught = run(variant, c.op, c.b, x0=x0)
        check_one_truth(result, caught)
        assert result.success and result.nit == 0
        np.testing.assert_array_equal(result.x, x0)
        assert not np.shares_memory(result.x, x0)

    @pairs()
    def test_far_starting_point(self, variant, problem):
        c = case(problem)
        x0 = 1e6 * normal(np.random.default_rng(2), c.x.size)
        slow = variant in STEEPEST or may_fail(variant, problem)
        maxiter = 200 if slow else 3000
        result, caught = run(variant, c.op, c.b, x0=x0, maxiter=maxiter)
        check_one_truth(result, caught, maxiter)
        assert not result.success or is_solution(c, result.x, 1e-6)
        if not slow:
            assert result.success, result

    @pairs(
        lambda variant, problem: finds_minimum_norm(variant)
        and problem in ("under", "rank-deficient", "both", "torus, strided")
        and not may_fail(variant, problem)
    )
    def test_finds_the_solution_nearest_to_the_start(self, variant, problem):
        c = case(problem)
        x0 = normal(np.random.default_rng(3), c.x.size)
        result, _ = run(variant, c.op, c.b, x0=x0, rtol=LOOSE)
        assert result.success
        step = result.x - x0
        own = c.pinv @ (c.A @ step)
        assert np.linalg.norm(step - own) <= 1e-9 * np.linalg.norm(result.x)

    def test_good_starting_points_save_iterations(self):
        c = case("over")
        near = c.x + 1e-4 * normal(np.random.default_rng(4), c.x.size)
        far = solve(c.op, c.b, "cgls")
        assert solve(c.op, c.b, "cgls", x0=near).nit < far.nit

    @pytest.mark.parametrize("form", ["result", "item", "flat item"])
    def test_shapes_of_the_starting_point(self, form):
        c = case("over")
        b = np.stack([c.b.reshape(c.op.output_shape)] * 3)
        x0 = {
            "result": np.stack([c.x.reshape(c.op.input_shape)] * 3),
            "item": c.x.reshape(c.op.input_shape),
            "flat item": c.x,
        }[form]
        result = solve(c.op, b, x0=x0)
        assert result.nit == 0 and result.x.shape == (3, *c.op.input_shape)
        columns = np.stack([c.b] * 3, axis=1)
        x0 = np.stack([c.x] * 3, axis=1) if form == "result" else c.x
        assert solve(c.op, columns, x0=x0).nit == 0

    def test_complex_starting_point_of_a_real_problem(self):
        c = case("under")
        result = solve(c.op, c.b, x0=1j * np.ones(c.x.size))
        assert result.success and result.x.dtype == "complex128"
        c = dataclasses.replace(c, A=c.A.astype(complex))
        assert is_solution(c, result.x, 1e-6)


class TestInputs:
    @variants
    def test_inputs_are_unchanged_and_not_aliased(self, variant):
        c, _ = easy(VARIANTS[variant][0])
        b, x0, kernel = c.b.copy(), np.ones(c.x.size), c.op.kernel.copy()
        start = x0.copy()
        for maxiter in (0, 2):
            for data in (b, np.zeros_like(b)):
                before = data.copy()
                result, _ = run(variant, c.op, data, x0=x0, maxiter=maxiter)
                np.testing.assert_array_equal(data, before)
                np.testing.assert_array_equal(x0, start)
                np.testing.assert_array_equal(c.op.kernel, kernel)
                for other in (data, x0, c.op.kernel):
                    assert not np.shares_memory(result.x, other)
                assert result.x.flags.writeable

    @variants
    def test_read_only_and_strided_inputs(self, variant):
        c, _ = easy(VARIANTS[variant][0])
        expected, _ = run(variant, c.op, c.b, maxiter=5, rng=0)
        strided = np.repeat(c.b, 2)[::2]
        strided.flags.writeable = False
        x0 = np.broadcast_to(np.float64(0), c.x.shape)
        got, _ = run(variant, c.op, strided, maxiter=5, x0=x0, rng=0)
        np.testing.assert_array_equal(got.x, expected.x)
        got, _ = run(variant, c.op, c.b.tolist(), maxiter=5, rng=0)
        np.testing.assert_array_equal(got.x, expected.x)

    @pytest.mark.parametrize("shape", ["flat", "shaped", "batch", "deep", "columns"])
    @every_dtype
    @every_method
    def test_shapes(self, method, dtype, shape):
        c, arguments = easy(method)
        rng = np.random.default_rng(5)
        given = c.op.input_shape
        op = c.op.astype(dtype)
        x = {
            "flat": (c.x.size,),
            "shaped": given,
            "batch": (3, *given),
            "deep": (2, 1, 2, *given),
            "columns": (c.x.size, 3),
        }[shape]
        x = normal(rng, x, dtype)
        if shape == "flat":
            b = op @ x
        elif shape == "columns":
            b = op.matmat(x)
        else:
            b = op.forward(x)
        result = solve(op, b, **arguments, rtol=1e-5, maxiter=3000)
        assert result.success and result.x.shape == x.shape and result.x.dtype == dtype
        assert np.linalg.norm(result.x - x) <= 1e-2 * np.linalg.norm(x)
        batch = {"batch": (3,), "deep": (2, 1, 2), "columns": (3,)}.get(shape, ())
        assert np.shape(result.residual_norm) == batch
        assert np.shape(result.normal_residual_norm) == batch
        assert result.history.shape == (result.nit, *batch)
        assert isinstance(result.success, bool) and isinstance(result.nit, int)
        if batch:
            assert result.extra["nit"].shape == result.extra["success"].shape == batch
            assert result.extra["nit"].max() == result.nit

    def test_the_shaped_reading_wins(self):
        # m = 4: (4, 4) could be four items or four columns
        A = np.array([[2.0, 1, 0, 0], [0, 2, 1, 0], [0, 0, 2, 1], [0, 0, 0, 2]])
        b = np.arange(16.0).reshape(4, 4)
        with pytest.warns(UserWarning, match="rows.*columns=True"):
            result = solve(A, b, rtol=1e-12)
        np.testing.assert_allclose(result.x, np.linalg.solve(A, b.T).T, atol=1e-9)
        result = solve(A, b, rtol=1e-12, columns=True)
        np.testing.assert_allclose(result.x, np.linalg.solve(A, b), atol=1e-9)
        result = solve(A, b, rtol=1e-12, columns=False)
        np.testing.assert_allclose(result.x, np.linalg.solve(A, b.T).T, atol=1e-9)
        # an output of shape (4, 1) could be a column
        op = ConvLinearOperator(np.arange(1.0, 9).reshape(4, 2, 1), (2, 1))
        result = solve(op, np.ones((4, 1)))
        assert result.x.shape == (2, 1)

    @pytest.mark.parametrize("given", ["float16", "int8", "bool", "float32"])
    def test_narrow_data(self, given):
        c = case("over")
        result = solve(c.op.astype("float32"), np.ones(c.b.size, given))
        expected = "float64" if given in ("int8", "bool") else "float32"
        assert result.success and result.x.dtype == expected

    def test_result_type(self):
        op = case("over").op
        single = op.astype("float32")
        b = np.ones(op.shape[0], "float32")
        x0 = np.zeros(op.shape[1], "float32")
        for expected, *arguments in (
            ("float32", single, b, x0),
            ("float64", op, b, x0),
            ("float64", single, b.astype(float), x0),
            ("float64", single, b, x0.astype(float)),
            ("complex64", single, b.astype("complex64"), x0),
            ("complex128", op, b, x0.astype("complex64")),
        ):
            result = solve(*arguments[:2], x0=arguments[2])
            assert result.success and result.x.dtype == expected

    def test_matrix_class(self):
        c = case("over")
        with pytest.warns(PendingDeprecationWarning):
            column = np.matrix(c.b.reshape(-1, 1))
        result = solve(c.op, column)
        assert type(result.x) is np.ndarray and result.x.shape == (c.x.size, 1)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @variants
    def test_non_finite_numbers_are_refused(self, variant, bad):
        c, _ = easy(VARIANTS[variant][0])
        b, x0, kernel = c.b.copy(), np.zeros(c.x.size), c.op.kernel.copy()
        b[3] = x0[-1] = kernel.flat[2] = bad
        with pytest.raises(ValueError, match="b holds NaN or infinity"):
            run(variant, c.op, b)
        with pytest.raises(ValueError, match="x0 holds NaN or infinity"):
            run(variant, c.op, c.b, x0=x0)
        op = ConvLinearOperator(kernel, c.op.input_shape, **c.op._options)
        with pytest.raises(ValueError, match="kernel holds NaN or infinity"):
            run(variant, op, c.b)
        with pytest.raises(ValueError, match="b holds NaN or infinity"):
            run(variant, c.op, b * (1 + 1j))

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            ({"op": None}, TypeError, "op must be"),
            ({"op": "A"}, TypeError, "op must be"),
            ({"op": np.zeros(3)}, TypeError, "op must be"),
            ({"op": np.zeros((2, 3, 4))}, TypeError, "op must be"),
            ({"op": np.full((3, 3), "a")}, TypeError, "op must"),
            ({"b": None}, (TypeError, ValueError), "b must"),
            ({"b": "data"}, (TypeError, ValueError), "b must"),
            ({"b": 1.0}, ValueError, "b must have shape"),
            ({"b": np.zeros(5)}, ValueError, "b must have shape"),
            ({"b": np.zeros((0, 6, 5, 6))}, ValueError, "b holds no right-hand side"),
            ({"b": np.zeros((180, 0))}, ValueError, "b holds no right-hand side"),
            ({"b": np.zeros(180, object)}, TypeError, "b must"),
            ({"b": np.zeros(180, "longdouble")}, TypeError, "b must"),
            ({"x0": np.zeros(5)}, ValueError, "x0 must have shape"),
            ({"x0": 0.0}, ValueError, "x0 must have shape"),
            ({"x0": "zero"}, (TypeError, ValueError), "x0 must"),
            ({"x0": np.zeros(56, object)}, TypeError, "x0 must"),
            ({"method": 3}, TypeError, "method must be a string"),
            ({"method": None}, TypeError, "method must be a string"),
            ({"method": "clgs"}, ValueError, "did you mean 'cgls'"),
            ({"method": "quantum"}, ValueError, "method must be one of 'auto', 'adbk'"),
            ({"damp": -1}, ValueError, "damp must be"),
            ({"damp": np.nan}, ValueError, "damp must be"),
            ({"damp": "a"}, TypeError, "damp must be"),
            ({"damp": 1j}, TypeError, "damp must be"),
            ({"rtol": -1e-3}, ValueError, "rtol must be"),
            ({"rtol": np.inf}, ValueError, "rtol must be"),
            ({"rtol": None}, TypeError, "rtol must be"),
            ({"rtol": [1e-3]}, TypeError, "rtol must be"),
            ({"atol": -1.0}, ValueError, "atol must be"),
            ({"atol": "legacy"}, TypeError, "atol must be"),
            ({"maxiter": -1}, ValueError, "maxiter must"),
            ({"maxiter": 1.5}, TypeError, "maxiter must be an integer"),
            ({"maxiter": "9"}, TypeError, "maxiter must be an integer"),
            ({"preconditioner": "jacoby"}, ValueError, "preconditioner must be one of"),
            ({"preconditioner": 3}, TypeError, "preconditioner must be"),
            (
                {"preconditioner": aslinearoperator(np.eye(3))},
                ValueError,
                "preconditioner must have shape",
            ),
            ({"callback": 3}, TypeError, "callback must be callable"),
            ({"rng": "seed"}, TypeError, "rng must be"),
            ({"rng": -1}, ValueError, "rng must be"),
            ({"restart": 5}, TypeError, "unknown option.* restart"),
            ({"tol": 1e-3}, TypeError, "unknown option.* tol"),
        ],
        ids=lambda value: re.sub(r"\W+", " ", str(value))[:30] if value else "",
    )
    def test_bad_arguments_are_named(self, arguments, error, words):
        c = case("over")
        arguments = {"op": c.op, "b": c.b, "method": "cgls", **arguments}
        with pytest.raises(error, match=words):
            solve(**arguments)

    @pytest.mark.parametrize(
        ("method", "options", "words"),
        [
            ("gmres", {"restart": 0}, "restart must be"),
            ("gmres", {"restart": 2.5}, "restart must be"),
            ("gradient", {"step": "newton"}, "step must be"),
            ("gradient", {"step_size": 1.0}, "step_size"),
            ("gradient", {"step": "fixed", "step_size": -1.0}, "step_size must be"),
            ("gradient", {"step": "adam", "betas": (0.9, 1.0)}, "betas must be"),
            ("gradient", {"step": "adam", "betas": 0.9}, "betas must be"),
            ("gradient", {"step": "adam", "eps": 0.0}, "eps must be"),
            ("gradient", {"step": "fixed", "step_size": "a"}, "step_size must be"),
        ],
    )
    def test_bad_options_are_named(self, method, options, words):
        c = case("square")
        with pytest.raises((TypeError, ValueError), match=words):
            solve(c.op, c.b, method, **options)

    def test_operators_that_a_method_does_not_take(self):
        over, square = case("over"), case("square")
        with pytest.raises(ValueError, match="cgls"):
            solve(square.op, square.b, "cg")  # not Hermitian
        with pytest.raises(ValueError, match="cgls"):
            solve(over.op, over.b, "cg")
        with pytest.raises(ValueError, match="no damp.*cgls"):
            solve(case("definite").op, case("definite").b, "cg", damp=1.0)
        with pytest.raises(ValueError, match="square|normal=True"):
            solve(over.op, over.b, "gmres")
        with pytest.raises(ValueError, match="no preconditioner; .*cgls"):
            solve(over.op, over.b, "gradient", preconditioner="jacobi")
        with pytest.raises(TypeError, match="needs a ConvLinearOperator"):
            solve(over.A, over.b, "cgls", preconditioner="jacobi")

    @every_method
    def test_operators_without_an_adjoint(self, method):
        c, arguments = easy(method)
        op = LinearOperator(c.A.shape, matvec=lambda v: c.A @ v, dtype=float)
        if not takes_products(method):
            with pytest.raises(TypeError, match="a ConvLinearOperator"):
                solve(op, c.b, **arguments)
        elif METHODS[method].needs_adjoint:
            with pytest.raises((TypeError, ValueError), match="adjoint|rmatvec"):
                solve(op, c.b, **arguments)
        else:
            assert is_solution(c, solve(op, c.b, **arguments).x, 1e-6)

    def test_keywords_only(self):
        c = case("over")
        with pytest.raises(TypeError, match="positional"):
            solve(c.op, c.b, "cgls", c.x)


class TestScale:
    """The units of b and of the kernel change nothing but those of x."""

    @pytest.mark.parametrize("power", [-900, -100, 3, 900])
    @variants
    def test_powers_of_two_are_exact(self, variant, power):
        c, _ = easy(VARIANTS[variant][0])
        if "adam" in variant:
            pytest.skip("its step has the units of x")
        name, arguments = VARIANTS[variant]
        normal = arguments.get("normal") or METHODS[name].verified
        kwargs = {"rtol": LOOSE, "rng": 0, "maxiter": 50}
        one, _ = run(variant, c.op, c.b, **kwargs)
        two, _ = run(variant, c.op, np.ldexp(c.b, power), **kwargs)
        assert two.nit == one.nit and two.status is one.status
        np.testing.assert_array_equal(two.x, np.ldexp(one.x, power))
        np.testing.assert_array_equal(two.history, np.ldexp(one.history, power))
        assert two.residual_norm == np.ldexp(one.residual_norm, power)
        op = ConvLinearOperator(
            np.ldexp(c.op.kernel, power), c.op.input_shape, **c.op._options
        )
        three, _ = run(variant, op, c.b, **kwargs)
        assert three.nit == one.nit
        if variant == "cg schwarz" and abs(power) < 16:  # a factor of A has its root
            close = {"rtol": 0, "atol": 1e-13 * np.max(np.abs(three.x))}
            np.testing.assert_allclose(three.x, np.ldexp(one.x, -power), **close)
            return
        np.testing.assert_array_equal(three.x, np.ldexp(one.x, -power))
        # the history of some methods is the normal residual, with the kernel's units
        expected = np.ldexp(one.history, power) if normal else one.history
        np.testing.assert_array_equal(three.history, expected)

    @pytest.mark.parametrize("factor", [1e-100, 1e100])
    @variants
    def test_homogeneity(self, variant, factor):
        for dtype in ("float64", "complex128", "float32"):
            if dtype == "float32":
                factor = 1e20 if factor > 1 else 1e-20
            self.check_homogeneity(variant, dtype, np.dtype(dtype).type(factor).real)

    @staticmethod
    def check_homogeneity(variant, dtype, factor):
        if "adam" in variant:
            pytest.skip("its step has the units of x")
        c, _ = easy(VARIANTS[variant][0], dtype)
        one, _ = run(variant, c.op, c.b, rtol=LOOSE, rng=0, maxiter=300)
        close = {"rtol": 0, "atol": 1e-2 * np.max(np.abs(one.x))}
        # rounding differs, and may carry a norm over the threshold
        near = 1 + one.nit // (5 if variant in GREEDY else 10)
        two, caught = run(variant, c.op, c.b * factor, rtol=LOOSE, rng=0, maxiter=300)
        assert abs(two.nit - one.nit) <= near and two.success == one.success
        np.testing.assert_allclose(two.x / factor, one.x, **close)
        op = ConvLinearOperator(c.op.kernel * factor, c.op.input_shape, **c.op._options)
        two, caught = run(variant, op, c.b, rtol=LOOSE, rng=0, maxiter=300)
        assert abs(two.nit - one.nit) <= near and two.success == one.success
        np.testing.assert_allclose(two.x * factor, one.x, **close)

    @pytest.mark.parametrize("factor", [1e-150, 1e150])
    def test_general_operators(self, factor):
        c = case("dense")
        x = c.pinv @ c.b
        for A, b, expected in (
            (c.A * factor, c.b, x / factor),
            (c.A, c.b * factor, x * factor),
            (c.A * factor, c.b * factor, x),
        ):
            result = solve(A, b)
            assert result.success
            np.testing.assert_allclose(result.x, expected, rtol=1e-3)

    @pytest.mark.parametrize("factor", [1e-100, 1e100])
    def test_damp_scales_with_the_kernel(self, factor):
        c = case("over")
        one = solve(c.op, c.b, damp=0.5)
        two = solve(factor * c.op, c.b, damp=0.5 * factor)
        if two.method == one.method:  # not where `c.op` has an inverse already
            assert abs(two.nit - one.nit) <= 1 + one.nit // 10  # rounding differs
        np.testing.assert_allclose(two.x * factor, one.x, rtol=1e-4, atol=1e-6)

    def test_atol_has_the_units_of_b(self):
        c = case("over")
        size = np.linalg.norm(c.b)
        one = solve(c.op, c.b, atol=0.3 * size, rtol=0)
        two = solve(c.op, c.b * 2.0**600, atol=0.3 * size * 2.0**600, rtol=0)
        assert one.nit == two.nit > 0 and two.success

    @variants
    def test_subnormal_data(self, variant):
        c, _ = easy(VARIANTS[variant][0])
        if "adam" in variant:
            pytest.skip("its step has the units of x")
        op = ConvLinearOperator(c.op.kernel * 1e-300, c.op.input_shape, **c.op._options)
        b = c.b * 1e-310
        assert np.max(np.abs(b)) < np.finfo(float).tiny
        result, caught = run(variant, op, b, rtol=LOOSE)
        check_one_truth(result, caught)
        assert result.success
        np.testing.assert_allclose(result.x * 1e10, c.x, atol=1e-2)

    @pytest.mark.parametrize(
        ("b", "kernel"),
        [(5e-324, 1.0), (1e-320, 1.0), (1e300, 1e-100), (1e-300, 1e100)],
    )
    def test_x_that_has_no_place_in_the_dtype(self, b, kernel):
        """Where x over- or underflows, a success would be a lie."""
        c = case("over")
        op = ConvLinearOperator(c.op.kernel * kernel, c.op.input_shape)
        data = c.b * b
        result, caught = run("cgls", op, data)
        power = -int(np.frexp(np.max(np.abs(data)))[1])
        data = np.ldexp(data, power)
        if result.success:
            assert np.all(np.isfinite(result.x))
            x = np.ldexp(result.x, power) * kernel
            assert np.linalg.norm(data - c.A @ x) <= 1.1e-6 * np.linalg.norm(data)
        else:
            assert [w.category for w in caught] == [ConvergenceWarning]

    def test_x0_beyond_the_scale_of_the_problem(self):
        c = case("over")
        with pytest.raises(ValueError, match="x0 is too large"):
            solve(c.op, c.b * 1e-200, x0=np.full(c.x.size, 1e200))


class TestSameBits:
    @variants
    def test_same_seed(self, variant):
        c, _ = easy(VARIANTS[variant][0])
        results = [run(variant, c.op, c.b, rng=seed)[0] for seed in (3, 3)]
        results.append(run(variant, c.op, c.b, rng=np.random.default_rng(3))[0])
        for other in results[1:]:
            np.testing.assert_array_equal(results[0].x, other.x)
            np.testing.assert_array_equal(results[0].history, other.history)


class TestCallback:
    @variants
    def test_once_per_iteration(self, variant):
        c, _ = easy(VARIANTS[variant][0])
        seen = []

        def callback(state):
            assert state.x.shape == c.x.shape
            seen.append((state.nit, state.residual_norm))

        result, _ = run(variant, c.op, c.b, callback=callback, maxiter=40)
        assert [nit for nit, _ in seen] == list(range(1, result.nit + 1))
        np.testing.assert_array_equal([norm for _, norm in seen], result.history)

    @variants
    def test_the_last_state_is_the_result(self, variant):
        c, _ = easy(VARIANTS[variant][0])
        iterates = []
        kwargs = {"rtol": LOOSE, "rng": 0}
        result, _ = run(
            variant, c.op, c.b, callback=lambda s: iterates.append(s.x + 0), **kwargs
        )
        size = np.linalg.norm(result.x)
        if not may_fail(variant, "over"):
            assert np.linalg.norm(iterates[-1] - result.x) <= 1e-10 * size
        plain, _ = run(variant, c.op, c.b, **kwargs)
        np.testing.assert_array_equal(plain.x, result.x)

    @pytest.mark.parametrize("answer", [True, np.True_])
    @variants
    def test_true_stops(self, variant, answer):
        c, _ = easy(VARIANTS[variant][0])
        calls = []

        def callback(state):
            calls.append(state.nit)
            return answer if state.nit == 2 else None

        result, caught = run(variant, c.op, c.b, rtol=1e-14, callback=callback)
        if calls == [1]:
            pytest.skip("done in one iteration")
        assert calls == [1, 2] and result.nit == 2
        assert result.status is Status.STOPPED and not result.success and not caught

    @every_method
    def test_other_answers_do_not_stop(self, method):
        c, arguments = easy(method)
        plain = solve(c.op, c.b, **arguments)
        assert solve(c.op, c.b, **arguments, callback=lambda s: 1).nit == plain.nit

    @pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
    @every_method
    def test_exceptions_pass(self, method, error):
        c, arguments = easy(method)

        def callback(state):
            raise error

        with pytest.raises(error):
            solve(c.op, c.b, **arguments, callback=callback)
        assert np.geterr()["divide"] == "warn"

    @every_method
    def test_solve_inside_a_callback(self, method):
        c, arguments = easy(method)
        arguments = {**arguments, "rtol": 0.01}
        plain = solve(c.op, c.b, **arguments)
        inner = []

        def callback(state):
            inner.append(solve(c.op, c.b, **arguments).x)

        result = solve(c.op, c.b, **arguments, callback=callback)
        for x in (result.x, *inner):
            np.testing.assert_array_equal(x, plain.x)

    @every_method
    def test_states_of_a_batch(self, method):
        c, arguments = easy(method)
        b = np.stack([c.b, 0 * c.b, 2 * c.b]).reshape(3, *c.op.output_shape)
        shapes = set()

        def callback(state):
            shapes.add((state.x.shape, state.residual_norm.shape))

        result = solve(c.op, b, **arguments, callback=callback)
        assert shapes == {((3, *c.op.input_shape), (3,))} and result.success


class TestBatch:
    @variants
    def test_items_are_solved_as_if_alone(self, variant):
        c, _ = easy(VARIANTS[variant][0])
        rng = np.random.default_rng(6)
        s = np.linalg.svd(c.A)[2][0]
        # an easy item (a singular vector), a hard one, zero, a huge and a tiny one
        x = np.stack([s, c.x, 0 * s, 1e30 * rng.standard_normal(s.size), 1e-30 * c.x])
        b = x @ c.A.T
        kwargs = {"rtol": LOOSE, "maxiter": 400, "rng": 0}
        if variant == "schwarz":  # the accuracy that costs least depends on the batch
            kwargs["accuracy"] = 3e-6
        batch, _ = run(variant, c.op, b.reshape(5, *c.op.output_shape), **kwargs)
        for i, item in enumerate(b):
            alone, _ = run(variant, c.op, item, **kwargs)
            assert batch.extra["status"][i] is alone.status
            assert batch.extra["success"][i] == alone.success
            if "fixed" in variant:  # the norm's estimate depends on the batch
                continue
            if batch.extra["nit"][i] != alone.nit:  # rounding carried a norm over
                assert abs(batch.extra["nit"][i] - alone.nit) <= 1 + alone.nit // 20
                size = c.singular[0] * np.linalg.norm(alone.x)
                bound = 1.1 * alone.residual_norm + LOOSE * size
                assert batch.residual_norm[i] <= bound
                continue
            close = 1e-8 * np.linalg.norm(alone.x)
            assert np.linalg.norm(batch.x[i].ravel() - alone.x) <= close
            floor = 1e-12 * c.singular[0] * np.linalg.norm(item)
            close = pytest.approx(alone.residual_norm, rel=1e-4, abs=floor)
            assert batch.residual_norm[i] == close
            if alone.nit:
                close = {"rtol": 1e-3, "atol": floor * c.singular[0]}
                history = batch.history[: alone.nit, i]
                np.testing.assert_allclose(history, alone.history, **close)
                np.testing.assert_array_equal(
                    batch.history[alone.nit :, i], batch.history[alone.nit - 1, i]
                )
        assert batch.extra["nit"][2] == 0 and not batch.x[2].any()
        assert batch.nit == batch.extra["nit"].max()

    def test_difficult_items_take_longer(self):
        c = case("definite")
        values, vectors = np.linalg.eigh(c.A)
        b = np.stack([vectors[:, 0], vectors[:, :2].sum(1), c.b])
        result = solve(c.op, b.reshape(3, *c.op.output_shape), "cgls")
        assert list(result.extra["nit"][:2]) == [1, 2] and result.extra["nit"][2] > 5

    def test_one_item_that_fails(self):
        c = case("inconsistent")
        good = c.A @ c.x
        b = np.stack([good, c.b]).reshape(2, *c.op.output_shape)
        with pytest.warns(ConvergenceWarning):
            result = solve(c.op, b, "cgls", rtol=1e-3, maxiter=3)
        assert not result.success and not result.extra["success"].all()
        with pytest.warns(ConvergenceWarning):
            result = solve(
                c.op,
                b,
                "cgls",
                rtol=1e-9,
                maxiter=5,
                x0=np.stack([c.x, 0 * c.x]).reshape(2, *c.op.input_shape),
            )
        assert list(result.extra["success"]) == [True, False]
        assert list(result.extra["status"]) == [Status.CONVERGED, Status.MAXITER]
        assert result.status is Status.MAXITER and list(result.extra["nit"]) == [0, 5]


class TestBreakdown:
    """Operators and preconditioners that break methods: no hang, no false success."""

    def check(self, A, b, method, **kwargs):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = solve(A, b, method, maxiter=200, **kwargs)
        check_one_truth(result, caught, 200)
        A = matrix_of(A) if not callable(A) else A
        c = Case(None, A, None, np.asarray(b))
        assert not result.success or is_solution(c, result.x, 1e-6)
        assert result.residual_norm <= 1.001 * np.linalg.norm(b) + 1e-300
        return result

    ENGINEERED = {
        "nilpotent": np.eye(6, k=1),
        "skew": np.kron(np.eye(3), [[0.0, 1], [-1, 0]]),
        "singular": np.diag([3.0, 2, 1, 0, 0, 0]),
        "zero": np.zeros((6, 6)),
        "identity": np.eye(6),
    }

    @pytest.mark.parametrize("name", ENGINEERED)
    @pytest.mark.parametrize("seed", range(3))
    @variants
    def test_engineered(self, variant, name, seed):
        method, arguments = VARIANTS[variant]
        if METHODS[method].conv_only or arguments.get("preconditioner"):
            pytest.skip("takes convolutions only")
        rng = np.random.default_rng(seed)
        A = self.ENGINEERED[name]
        b = rng.standard_normal(6) if seed else np.eye(6)[0]
        if METHODS[method].hermitian and name in ("nilpotent", "skew"):
            with pytest.raises(ValueError, match="Hermitian"):
                self.check(A, b, method, **arguments)
            return
        result = self.check(A, b, method, **arguments)
        slow = variant in STEEPEST
        plain = METHODS[method].square and not arguments.get("normal")
        if name == "identity" and "adam" not in variant or not plain and not slow:
            assert result.success, result

    def test_lucky_breakdown(self):
        for b in (np.ones(5), np.arange(5.0)):
            result = self.check(np.eye(5), b, "gmres")
            assert result.success and result.nit == 1
            np.testing.assert_allclose(result.x, b, rtol=1e-12)

    def test_invariant_subspace(self):
        A = np.diag([1.0, 2, 3, 4, 5, 6])
        b = np.array([1.0, 1, 0, 0, 0, 0])
        for method in ("cg", "gmres", "cgls", "lsqr", "lsmr"):
            result = self.check(A, b, method, rtol=1e-12)
            assert result.success and result.nit <= 3, method

    @pytest.mark.parametrize("restart", [1, 2, 50])
    def test_gmres_never_makes_things_worse(self, restart):
        rng = np.random.default_rng(7)
        for rank in (1, 3, 7):
            A = rng.standard_normal((8, rank)) @ rng.standard_normal((rank, 8))
            b = rng.standard_normal(8)
            result = self.check(A, b, "gmres", restart=restart)
            assert result.residual_norm <= np.linalg.norm(b)

    def test_a_smaller_residual_is_kept(self):
        """A step of GMRES may make the normal residual larger."""
        A, b = np.diag([1.0, 100.0]), np.array([1.0, 0.05])
        with pytest.warns(ConvergenceWarning):
            result = solve(A, b, "gmres", rtol=0, maxiter=1)
        assert result.residual_norm < 0.98 * np.linalg.norm(b)
        assert result.normal_residual_norm > 3 * np.linalg.norm(A.T @ b)

    def test_indefinite(self):
        A = np.diag([1.0, 2, -1, 3])
        result = self.check(A, np.ones(4), "cg")
        assert result.status is Status.INDEFINITE and "cgls" in result.message

    def test_negative_definite(self):
        A = -np.diag([1.0, 2, 4, 3])
        assert self.check(A, np.ones(4), "cg").status is Status.INDEFINITE

    @pytest.mark.parametrize("A", [np.zeros((0, 4)), np.zeros((4, 0))])
    def test_empty_matrices(self, A):
        with contextlib.suppress(ValueError):
            result = solve(A, np.zeros(A.shape[0]))
            assert result.x.shape == (A.shape[1],)

    @pytest.mark.parametrize("after", [0, 1, 2, 5, 8])
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    @every_method
    def test_products_that_turn_non_finite(self, method, value, after):
        if not takes_products(method):
            pytest.skip("takes no operators that only have products")
        A = case("definite").A
        calls = []

        def product(matrix):
            def apply(v):
                calls.append(1)
                y = matrix @ v
                return y * value if len(calls) > after else y

            return apply

        op = LinearOperator(A.shape, product(A), product(A.T), dtype=float)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                result = solve(op, case("definite").b, method, maxiter=50)
        except ValueError as error:  # found out before the first iteration
            assert "op" in str(error)
            return
        caught = [w for w in caught if w.category is ConvergenceWarning]
        assert not result.success and len(caught) == 1
        assert result.status is not Status.CONVERGED
        assert np.all(np.isfinite(result.x))

    BROKEN = {
        "zero": lambda v: 0 * v,
        "NaN": lambda v: v * np.nan,
        "infinite": lambda v: v * np.inf,
        "negative": lambda v: -v,
        "random": lambda v: np.random.default_rng(0).standard_normal(v.shape),
        "projector": lambda v: v * (np.arange(v[0].size).reshape(v[0].shape) % 2),
        "huge": lambda v: 1e100 * v,
        "tiny": lambda v: 1e-100 * v,
        "NaN once": None,
    }

    @pytest.mark.parametrize("broken", BROKEN)
    @every_method
    def test_broken_preconditioners(self, method, broken):
        if not METHODS[method].preconditioner:
            pytest.skip("takes no preconditioner")
        c, arguments = easy(method)
        apply = self.BROKEN[broken]
        if apply is None:
            calls = []

            def apply(v):
                calls.append(1)
                return v * np.nan if len(calls) == 3 else v

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = solve(c.op, c.b, **arguments, preconditioner=apply, maxiter=100)
        check_one_truth(result, caught, 100)
        assert not result.success or is_solution(c, result.x, 1e-6)
        assert result.residual_norm <= np.linalg.norm(c.b) * 1.001
        if broken in ("huge", "tiny", "negative"):  # scale and sign do no harm
            assert result.success or broken == "negative", result

    def test_preconditioners_of_a_wrong_shape(self):
        c = case("over")
        for bad in (lambda v: v[..., :-1], lambda v: None, lambda v: 3.0):
            with pytest.raises((TypeError, ValueError), match="preconditioner"):
                solve(c.op, c.b, "cgls", preconditioner=bad)

    def test_precision_that_does_not_suffice(self):
        c = case("ill-conditioned", "float32")
        for method in METHODS:
            if applies(method, c) and "gradient" not in method:
                result, caught = run(method, c.op, c.b, rtol=1e-13)
                check_one_truth(result, caught)
                assert not result.success or is_solution(c, result.x, 1e-13)

    def test_float32_that_is_refined(self):
        """Restarts from the true residual go beyond what recurrences in float32 can."""
        c = case("over", "float32")
        result = solve(c.op, c.b, "cgls", rtol=2e-7)
        assert result.success and is_solution(c, result.x, 2e-7)


class TestPreconditioners:
    @pytest.mark.parametrize("boundary", BOUNDARIES)
    @pytest.mark.parametrize("seed", range(6))
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_jacobi_diagonals(self, boundary, seed, dtype):
        rng = np.random.default_rng(seed)
        ndim = seed % 3 + 1
        groups = rng.integers(1, 3)
        taps, size = rng.integers(1, 4, ndim), rng.integers(2, 5, ndim)
        shape = (2 * groups, rng.integers(1, 3), *taps)
        op = ConvLinearOperator(
            normal(rng, shape, dtype),
            (shape[1] * groups, *size),
            padding=tuple((int(p), int(p) + 1) for p in rng.integers(1, 6, ndim)),
            stride=tuple(int(s) for s in rng.integers(1, 3, ndim)),
            groups=int(groups),
            boundary=boundary,
            flip=bool(seed % 2),
        )
        A = matrix_of(op)
        expected = np.diag(A.conj().T @ A).real + 0.7**2
        inverse = Jacobi(op, 0.7) @ np.ones(op.shape[1])
        np.testing.assert_allclose(1 / inverse, expected)

    @pytest.mark.parametrize("boundary", BOUNDARIES)
    @pytest.mark.parametrize("groups", [1, 2])
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_plain_jacobi_diagonals(self, boundary, groups, dtype):
        rng = np.random.default_rng(8)
        op = ConvLinearOperator(
            normal(rng, (4, 4 // groups, 3, 4), dtype),
            (4, 3, 5),
            padding="same",
            groups=groups,
            boundary=boundary,
        )
        inverse = Jacobi(op, equations="plain") @ np.ones(op.shape[1])
        np.testing.assert_allclose(1 / inverse, np.diag(matrix_of(op)))

    def test_jacobi_with_zeros_on_the_diagonal(self):
        op = ConvLinearOperator(np.array([[[0.0, 0.0, 1.0]]]), (1, 6), padding=1)
        with pytest.raises(ValueError, match="diagonal without zeros"):
            solve(op, np.ones(6), "gmres", preconditioner="jacobi")

    @every_method
    def test_a_perfect_preconditioner(self, method):
        entry = METHODS[method]
        if not entry.preconditioner:
            pytest.skip("takes no preconditioner")
        c, arguments = easy(method)
        inverse = np.linalg.inv(c.A if entry.square else c.A.T @ c.A)

        def apply(v):
            assert v.shape[1:] == c.op.input_shape
            return (v.reshape(len(v), -1) @ inverse.T).reshape(v.shape)

        operator = aslinearoperator(inverse)
        for preconditioner in (apply, operator):
            result = solve(c.op, c.b, **arguments, preconditioner=preconditioner)
            assert result.success and result.nit <= 2
            assert is_solution(c, result.x, 1e-6)

    def test_it_must_not_be_handed_the_solvers_own_arrays(self):
        """A preconditioner may work in place on what it gets, or return its input."""
        c = case("over")
        plain = solve(c.op, c.b, "cgls", rtol=1e-9)
        for identity in (lambda v: v, lambda v: np.multiply(v, 1.0, out=v.copy())):
            result = solve(c.op, c.b, "cgls", rtol=1e-9, preconditioner=identity)
            assert abs(result.nit - plain.nit) <= 1 + plain.nit // 10
            np.testing.assert_allclose(result.x, plain.x, atol=1e-9)

    @pytest.mark.parametrize("factor", [1e-6, 1e6])
    def test_its_scale_does_not_matter(self, factor):
        c = case("ill-conditioned")
        one = solve(c.op, c.b, "cgls", preconditioner=lambda v: v)
        two = solve(c.op, c.b, "cgls", preconditioner=lambda v: factor * v)
        assert one.success and two.success
        assert is_solution(c, one.x, 1e-6) and is_solution(c, two.x, 1e-6)
        # rounding alone moves the count, by a few in a hundred
        assert abs(one.nit - two.nit) <= 1 + one.nit // 5

    @pytest.mark.parametrize("power", [-330, 330])
    @every_method
    def test_its_units_are_the_users(self, method, power):
        """It approximates the inverse of the user's matrix, whatever solve scales."""
        entry = METHODS[method]
        if not entry.preconditioner:
            pytest.skip("takes no preconditioner")
        c, arguments = easy(method)
        inverse = np.linalg.inv(c.A if entry.square else c.A.T @ c.A)
        inverse = np.ldexp(inverse, -power if entry.square else -2 * power)
        result = solve(
            2.0**power * c.op,
            c.b,
            **arguments,
            preconditioner=aslinearoperator(inverse),
        )
        assert result.success and result.nit <= 2


class Counting(LinearOperator):
    """An operator that counts its products."""

    def __init__(self, A):
        self.A, self.forward, self.adjoint = A, 0, 0
        super().__init__(A.dtype, A.shape)

    def _matvec(self, x):
        self.forward += 1
        return self.A @ x

    def _rmatvec(self, y):
        self.adjoint += 1
        return self.A.conj().T @ y


class TestCosts:
    @pytest.mark.parametrize(
        "variant",
        [
            v
            for v in VARIANTS
            if takes_products(VARIANTS[v][0]) and "preconditioner" not in VARIANTS[v][1]
        ],
    )
    def test_counted_products(self, variant):
        name, arguments = VARIANTS[variant]
        c, _ = easy(name)
        op = Counting(c.A)
        k = 7
        result, _ = run(variant, op, c.b, maxiter=k, rtol=1e-14)
        assert result.nit == k
        words = METHODS[name].products
        forward, adjoint = (
            k * sum(map(int, re.findall(rf"(\d+) {kind}", words)))
            for kind in ("forward", "adjoint")
        )
        if name == "gmres" and not arguments.get("normal"):
            adjoint = 0
        extra = 40 if "fixed" in variant else 8  # power iterations; checks
        assert forward <= op.forward <= forward + extra
        assert adjoint <= op.adjoint <= adjoint + extra

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_peak_memory(self, variant):
        """Within the vectors that solve's and the method's docstrings declare."""
        name, arguments = VARIANTS[variant]
        words = METHODS[name].vectors
        stored = [int(c) for c in re.findall(r"(\d+) m", words)[:1] or [0]]
        stored += [int(c) for c in re.findall(r"(\d+) n", words)[:1] or [0]]
        if not any(stored) or "strips" in words or "adam" in variant:
            pytest.skip("declares no fixed number of vectors")
        square = METHODS[name].square
        rng = np.random.default_rng(9)
        kernel = centre((1, 1, 3, 3)) if square else rng.standard_normal((4, 1, 3, 3))
        boundary = "periodic" if name == "spectral" else "zero"
        op = ConvLinearOperator(kernel, (1, 256, 256), padding=1, boundary=boundary)
        b = rng.standard_normal(op.output_shape)
        solve_few = functools.partial(run, variant, op, b, maxiter=3, rtol=1e-15)
        solve_few()
        tracemalloc.start()
        solve_few()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        m, n = op.shape
        # b's copy, A^H b and x are part of it; a temporary of each length is allowed
        allowed = (stored[0] + 2 + 1 + 1) * m + (stored[1] + 3 + 1 + 1) * n
        assert peak <= 8 * allowed + 2**21, peak / 8 / (m + n)


class TestIdentities:
    """Relations between the iterates of methods that hold in exact arithmetic."""

    STEPS = 12

    def iterates(self, c, method, **kwargs):
        xs = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            solve(
                c.op,
                c.b,
                method,
                rtol=1e-14,
                maxiter=self.STEPS,
                callback=lambda s: xs.append(s.x + 0),
                **kwargs,
            )
        return np.array(xs)

    @pytest.mark.parametrize("damp", [0.0, 1.0])
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    @pytest.mark.parametrize("problem", ["over, two channels", "inconsistent", "under"])
    @pytest.mark.parametrize(("one", "other"), [("lsqr", "cgls"), ("lsmr", "gmres")])
    def test_same_iterates(self, one, other, problem, dtype, damp):
        c = case(problem, dtype)
        options = {"normal": True} if other == "gmres" else {}
        xs = self.iterates(c, one, damp=damp)
        ys = self.iterates(c, other, damp=damp, **options)
        assert len(xs) == len(ys) == self.STEPS
        np.testing.assert_allclose(xs, ys, atol=1e-7 * np.max(np.abs(xs)))

    @pytest.mark.parametrize("problem", ["definite"])
    def test_cg_minimises_the_energy(self, problem):
        c = case(problem)
        errors = self.iterates(c, "cg") - np.linalg.solve(c.A, c.b)
        energy = np.einsum("ki,ij,kj->k", errors, c.A, errors)
        assert np.all(np.diff(energy) <= 1e-12 * energy[0])

    @pytest.mark.parametrize(
        "problem", ["over, two channels", "inconsistent", "under", "ill-conditioned"]
    )
    @pytest.mark.parametrize("method", ["cgls", "lsqr", "lsmr", "gmres"])
    def test_what_decreases(self, method, problem):
        c = case(problem)
        options = {"normal": True} if method == "gmres" else {}
        values = np.array([norms(c, x) for x in self.iterates(c, method, **options)])
        column = {"cgls": 0, "lsqr": 0, "lsmr": 1, "gmres": 1}[method]
        assert np.all(np.diff(values[:, column]) <= 1e-10 * values[0, column])

    @pytest.mark.parametrize("method", ["cgls", "lsqr", "lsmr", "gradient"])
    def test_history_is_the_residual(self, method):
        c = case("inconsistent")
        result, _ = run(method, c.op, c.b, maxiter=10, rtol=1e-14)
        values = [norms(c, x)[0] for x in self.iterates(c, method)][:10]
        np.testing.assert_allclose(result.history, values, rtol=1e-8)

    def test_the_first_step_of_adam(self):
        c = case("over")
        x = self.iterates(c, "gradient", step="adam", step_size=0.05)[0]
        np.testing.assert_allclose(x, 0.05 * np.sign(c.A.T @ c.b), rtol=1e-6)

    def test_fixed_steps(self):
        c = case("over")
        xs = self.iterates(c, "gradient", step="fixed", step_size=0.01)
        x = np.zeros(c.x.size)
        for got in xs:
            x = x + 0.01 * c.A.T @ (c.b - c.A @ x)
            np.testing.assert_allclose(got, x, atol=1e-12)

    def test_the_estimated_step_is_stable(self):
        c = case("over")
        result, _ = run("gradient fixed", c.op, c.b, rtol=LOOSE, rng=1)
        assert 0.8 / c.singular[0] ** 2 <= result.extra["step_size"]
        assert result.extra["step_size"] <= 1 / c.singular[0] ** 2 and result.success


class TestResult:
    def test_it_is_frozen_and_prints(self):
        c = case("over")
        result = solve(c.op, c.b, "cgls")
        with pytest.raises(dataclasses.FrozenInstanceError):
            result.x = 3
        text = repr(result)
        for word in ("cgls", "True", "CONVERGED", "float64", "(56,)"):
            assert word in text
        assert result.seconds > 0

    def test_batches_print(self):
        c = case("over")
        b = np.stack([c.b, 2 * c.b]).reshape(2, *c.op.output_shape)
        assert "over 2 items" in repr(solve(c.op, b))

    def test_every_status_gives_advice(self):
        assert issubclass(ConvergenceWarning, UserWarning)
        values = [status.value for status in Status]
        assert len(set(values)) == len(values) == 8
        for status in Status:
            if status not in (Status.CONVERGED, Status.STOPPED):
                advice = r"\b(raise|use|check)\b"
                assert re.search(advice, status.value), status

    @every_method
    def test_registry(self, method):
        entry = METHODS[method]
        assert entry.name == method and entry.summary and "\n" not in entry.summary
        assert method in repr(entry) and entry.vectors and entry.products
        assert entry.function.__doc__ and "4-digit" not in entry.summary

    def test_methods_lists_all(self):
        listed = convinv.methods()
        assert [m.name for m in listed] == sorted(METHODS)
        assert {"cg", "cgls", "gmres", "lsqr", "lsmr", "gradient"} <= set(METHODS)

    def test_progress(self, capfd):
        c = case("over")
        result = solve(c.op, c.b, "cgls", progress=True)
        err = capfd.readouterr().err
        assert "cgls" in err and f"{result.nit}/" in err
        plain = solve(c.op, c.b, "cgls")
        assert capfd.readouterr() == ("", "")
        np.testing.assert_array_equal(plain.x, result.x)

    def test_floating_point_settings_are_left_alone(self):
        c = case("over")
        with np.errstate(all="raise"):
            before = np.geterr()
            solve(c.op, c.b, callback=lambda state: None)
            assert np.geterr() == before


LONG = """
import signal, numpy as np, convinv
signal.signal(signal.SIGINT, signal.default_int_handler)  # may be ignored by a shell
kernel = np.zeros((64, 64, 31, 31))
op = convinv.ConvLinearOperator(kernel + 1, (64, 128, 128), padding="same")
small = convinv.ConvLinearOperator(kernel[:1, :1, :3, :3] + 1, (1, 5, 5))
convinv.solve(small, np.ones(small.shape[0]))  # compiled
b = np.ones(op.shape[0])
print("ready", flush=True)
try:
    convinv.solve(op, b, maxiter=1000, rtol=0)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c():
    """One product of this takes many seconds, and must not hold Ctrl-C up."""
    child = subprocess.Popen(
        [sys.executable, "-c", LONG], stdout=subprocess.PIPE, text=True
    )
    limit = threading.Timer(60, child.kill)
    limit.start()
    try:
        assert child.stdout.readline() == "ready\n"
        time.sleep(1.5)
        start = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        waited = time.monotonic() - start
        child.wait(20)
    finally:
        limit.cancel()
        child.kill()
        child.stdout.close()
    assert waited < 3, "a second is promised, on a machine that does nothing else"
