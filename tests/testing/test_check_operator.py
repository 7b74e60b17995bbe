"""check_operator: what is wrong is found, by the check that it concerns."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator

from convinv import ConvLinearOperator
from convinv._core.boundaries import BOUNDARIES
from convinv.testing import ConformanceError, Report, check_operator
from support.foreign import Duck, functions
from support.interop_layers import layer
from support.operator_layers import dense

SHAPE = (7, 8)
KERNEL = np.random.default_rng(0).standard_normal((1, 1, 3, 3))


def conv(boundary="zero", dtype="float64"):
    kernel = KERNEL.astype(dtype)
    return ConvLinearOperator(kernel, (1, *SHAPE), padding=1, boundary=boundary)


def pair(forward=None, adjoint=None, op=None):
    """A pair of functions, some replaced by others of op and its input."""
    op = conv() if op is None else op
    return (
        lambda x: (forward or (lambda op, x: op.forward(x)))(op, x),
        lambda y: (adjoint or (lambda op, y: op.adjoint(y)))(op, y),
    )


def failed(functions, **options):
    report = check_operator(functions, input_shape=(1, *SHAPE), **options)
    assert not report.passed
    return [found.check for found in report.failures]


class TestFaults:
    def test_none(self):
        report = check_operator(pair(), input_shape=(1, *SHAPE))
        assert report.passed and report["boundary"].detail.startswith("zero")

    def test_adjoints(self):
        other = conv("reflect")
        report = check_operator(
            (conv().forward, other.adjoint), input_shape=(1, *SHAPE)
        )
        assert [f.check for f in report.failures] == ["adjoint", "boundary"]
        assert "zero, but its adjoint is that of reflect" in report["boundary"].detail
        assert failed((conv().forward, lambda y: 2 * conv().adjoint(y))) == [
            "adjoint",
            "boundary",
        ]

    def test_adjoints_without_conjugation(self):
        A = np.random.default_rng(0).standard_normal((6, 5, 2)) @ [1, 1j]
        both = lambda x: A @ x, lambda y: A.T @ y  # noqa: E731
        found = check_operator(both, input_shape=(5,), dtype="complex128")
        assert [f.check for f in found.failures] == ["adjoint"]

    def test_linearity(self):
        assert "linearity" in failed(pair(lambda op, x: op.forward(x) + 1))
        assert "linearity" in failed(pair(lambda op, x: np.abs(op.forward(x))))
        clipped = pair(lambda op, x: op.forward(x).clip(-1e3, 1e3))
        assert failed(clipped) == ["homogeneity"]

    def test_dtypes(self):
        narrow = pair(lambda op, x: op.forward(x).astype("float32"))
        assert "dtypes" in failed(narrow)
        wide = pair(
            lambda op, x: op.forward(x).astype("float64"), op=conv(dtype="float32")
        )
        assert failed(wide, dtype="float32") == ["dtypes"]

    def test_batches(self):
        class Sums(Duck):
            def rmatvec(self, v):
                return self.A.T @ v

            def matmat(self, X):
                return self.A @ X + X.sum()

        A = np.random.default_rng(0).standard_normal((4, 4))
        assert [f.check for f in check_operator(Sums(A)).failures] == ["batch"]

    def test_writing_into_the_input(self):
        def forward(op, x):
            y = op.forward(x)
            x *= 2
            return y

        found = failed(pair(forward))
        assert "input unchanged" in found and "read-only input" in found

    def test_memory_that_is_used_again(self):
        memory = np.empty((1, *SHAPE))

        def forward(op, x):
            if x.dtype != memory.dtype:
                return op.forward(x)
            memory[...] = op.forward(x)
            return memory

        assert "output not aliased" in failed(pair(forward))
        same = lambda x: x, lambda y: y  # noqa: E731
        assert failed(same) == ["output not aliased"]

    def test_chance(self):
        rng = np.random.default_rng(0)

        def forward(op, x):
            return op.forward(x) * (1 + 1e-6 * rng.standard_normal())

        assert "determinism" in failed(pair(forward))

    def test_order_in_memory(self):
        def forward(op, x):
            return op.forward(np.ravel(x, order="K").reshape(x.shape))

        assert failed(pair(forward)) == ["memory order"]

    def test_errors_are_failures(self):
        def forward(op, x):
            if not x.flags.writeable:
                raise ValueError("buffer source array is read-only\nand more")
            return op.forward(x)

        report = check_operator(pair(forward), input_shape=(1, *SHAPE))
        assert [f.check for f in report.failures] == ["read-only input"]
        assert report["read-only input"].detail == (
            "raised ValueError: buffer source array is read-only"
        )

    def test_short_axes(self):
        def make(shape):
            op = ConvLinearOperator(KERNEL, shape, padding=1, boundary="reflect")
            if 1 not in shape[1:]:
                return op
            return op.forward, lambda y: 3 * op.adjoint(y)

        report = check_operator(make((1, *SHAPE)), make=make)
        assert [f.check for f in report.failures] == ["axes of length 1"]


class TestBoundaries:
    @pytest.mark.parametrize("boundary", BOUNDARIES)
    @pytest.mark.parametrize("ndim", [1, 2, 3])
    def test_are_told_apart(self, boundary, ndim):
        size = (2, *(9, 8, 6)[:ndim])
        op = layer(ndim, boundary)
        kernel = np.concatenate([op.kernel] * (2 // op.input_shape[0]), axis=1)
        op = ConvLinearOperator(kernel, size, **op.options)
        detail = check_operator(op, checks=["boundary"])["boundary"].detail
        assert detail == f"{boundary}; its adjoint is that of {boundary}"

    def test_of_images_without_channels(self):
        """As SciPy's ndimage makes them, whose "reflect" is "symmetric" here."""
        from scipy import ndimage

        told = {name: name for name in BOUNDARIES}
        # which agree where a sample is added at each end
        told["symmetric"] = told["replicate"] = "symmetric or replicate"
        for mode, name in (("reflect", "symmetric"), ("mirror", "reflect"),
                           ("wrap", "periodic"), ("nearest", "replicate")):  # fmt: skip
            forward = lambda x: ndimage.correlate(x, KERNEL[0, 0], mode=mode)  # noqa
            found = check_operator((forward, None), input_shape=SHAPE)
            assert found.passed and found["boundary"].detail == told[name]
            assert found["adjoint"].result == "skipped"

    def test_none_is_needed(self):
        op = ConvLinearOperator(KERNEL, (1, *SHAPE))
        assert "nothing beyond the border" in check_operator(op)["boundary"].detail

    def test_other_operators(self):
        A = np.random.default_rng(0).standard_normal((12, 12))
        for op in (A, sp.csr_array(A), ConvLinearOperator(KERNEL, (1, 9, 9), stride=2)):
            assert check_operator(op)["boundary"].result == "skipped"
        halved = np.ones((1, *SHAPE))
        halved[:, 0] = 0.5
        scaled = pair(lambda op, x: halved * op.forward(x),
                      lambda op, y: op.adjoint(halved * y))  # fmt: skip
        found = check_operator(scaled, input_shape=(1, *SHAPE))
        assert found.passed and found["boundary"].result == "skipped"


class TestForms:
    A = np.random.default_rng(3).standard_normal((6, 4))

    def test_of_scipy(self):
        report = check_operator(functions(self.A)).raise_on_failure()
        assert "of scipy, 6 x 4" in report.subject
        one_way = LinearOperator((6, 4), matvec=lambda v: self.A @ v, dtype=float)
        assert check_operator(one_way)["adjoint"].result == "skipped"

    def test_objects_with_products(self):
        assert check_operator(Duck(self.A)).passed

    def test_of_pylops(self):
        pylops = pytest.importorskip("pylops")
        D = pylops.FirstDerivative((6, 7), kind="forward")
        found = check_operator(D)  # which drops imaginary parts
        assert [f.check for f in found.failures] == ["dtypes"]
        C = pylops.signalprocessing.Convolve2D(SHAPE, KERNEL[0, 0], (1, 1))
        assert check_operator(C)["boundary"].detail.startswith("zero")

    def test_of_sigpy(self):
        linop = pytest.importorskip("sigpy").linop
        check_operator(linop.FFT((4, 6))).raise_on_failure()
        check_operator(linop.ConvolveData((6, 7), KERNEL[0, 0])).raise_on_failure()

    def test_of_odl(self):
        odl = pytest.importorskip("odl")
        check_operator(
            odl.Gradient(odl.uniform_discr([0, 0], [1, 1], (5, 6)))
        ).raise_on_failure()

    def test_physics(self):
        """Anything with A and A_adjoint, of tensors in batches."""
        torch = pytest.importorskip("torch")

        class Blur:
            def __init__(self, factor):
                self.factor, self.op = factor, conv(dtype="float32")

            def A(self, x):
                return torch.from_numpy(self.op.forward(x.numpy()))

            def A_adjoint(self, y):
                return self.factor * torch.from_numpy(self.op.adjoint(y.numpy()))

        assert check_operator(Blur(1), input_shape=(1, *SHAPE)).passed
        assert not check_operator(Blur(2), input_shape=(1, *SHAPE)).passed
        with pytest.raises(TypeError, match="a physics needs input_shape"):
            check_operator(Blur(1))

    def test_what_is_none(self):
        with pytest.raises(TypeError, match="op must be"):
            check_operator("A")
        with pytest.raises(TypeError, match="pair of functions needs input_shape"):
            check_operator((abs, abs))
        with pytest.raises(ValueError, match="checks must be names among 'adjoint'"):
            check_operator(self.A, checks=["colour"])


class TestReports:
    def test_tables(self):
        A = TestForms.A
        report = check_operator(
            (lambda x: A @ x, lambda y: A.T @ y + 1), input_shape=(4,)
        )
        assert isinstance(report, Report) and not report.passed
        text = str(report)
        assert all(len(line) <= 100 for line in text.splitlines())
        for found in report.results:
            assert f"{found.check} " in text and found.result in text
        table = report._repr_html_()
        assert table.count("<tr>") == 1 + len(report.results)
        assert "&lt;A x, y&gt;" in table and "<A" not in table
        with pytest.raises(ConformanceError, match="adjoint +failed") as caught:
            report.raise_on_failure()
        assert "passed" not in str(caught.value)
        assert isinstance(caught.value, AssertionError)
        with pytest.raises(KeyError, match="no check is called 'colour'"):
            report["colour"]

    def test_success(self):
        report = check_operator(TestForms.A)
        assert report.raise_on_failure() is report and report.failures == []

    def test_seeds(self):
        one, two = (check_operator(dense(layer()), rng=seed) for seed in (1, 2))
        assert one.passed and two.passed
        assert check_operator(dense(layer()), rng=1).results == one.results
