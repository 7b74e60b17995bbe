"""Tensors and layers in the functions of the package, and tensors out of them."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import convinv  # noqa: E402
from convinv import (  # noqa: E402
    ConvergenceError,
    ConvLinearOperator,
    dot_test,
    imaging,
    layer_report,
    normal_solve,
    project_nullspace,
    solve,
)
from convinv._core import adapters  # noqa: E402
from convinv.interop import torch as layers  # noqa: E402
from convinv.proximal import NonNegative, admm, fista, minimize  # noqa: E402
from convinv.spectra import spectrum  # noqa: E402
from convinv.strips import strip_plan  # noqa: E402
from support.torch_layers import dense  # noqa: E402

CALL = r"convinv\.interop\.torch\.operator\(layer, input_shape\)"
DTYPES = [torch.float32, torch.float64, torch.complex64, torch.complex128]
HALVES = [torch.float16, torch.bfloat16]
SHAPE = (2, 7, 6)


def conv(c_in=2, c_out=4, dtype=torch.float32, **options):
    torch.manual_seed(0)
    return nn.Conv2d(c_in, c_out, 3, dtype=dtype, **{"padding": 1, **options})


def tensor(shape, dtype=torch.float32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=dtype, generator=generator)


def inverse(op):
    return op.inverse(method="cgls")  # the same in every call


@pytest.fixture
def op():
    return ConvLinearOperator(conv(), SHAPE)


class TestProducts:
    """Of an operator, with tensors and the arrays in their memory."""

    CALLS = {
        "forward": (lambda op, x: op.forward(x), (3, *SHAPE)),
        "adjoint": (lambda op, x: op.adjoint(x), (4, 7, 6)),
        "matvec": (lambda op, x: op.matvec(x), (84,)),
        "rmatvec": (lambda op, x: op.rmatvec(x), (168, 1)),
        "matmat": (lambda op, x: op.matmat(x), (84, 2)),
        "rmatmat": (lambda op, x: op.rmatmat(x), (168, 2)),
        "@": (lambda op, x: op @ x, (84,)),
        "call": (lambda op, x: op(x), (84, 3)),
        "from the left": (lambda op, x: x @ op, (3, 168)),
        "of a sum": (lambda op, x: (2 * op.H @ op + op.H @ op) @ x, (84,)),
        "inverse": (lambda op, x: inverse(op).forward(x), (2, 4, 7, 6)),
        "adjoint of it": (lambda op, x: inverse(op).H @ x, (84,)),
    }

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("name", CALLS)
    def test_values(self, op, name, dtype):
        call, shape = self.CALLS[name]
        x = tensor(shape, dtype)
        found, wanted = call(op, x), call(op, x.numpy())
        assert isinstance(found, torch.Tensor) and isinstance(wanted, np.ndarray)
        assert found.numpy().dtype == wanted.dtype and not found.requires_grad
        np.testing.assert_array_equal(found.numpy(), wanted)

    @pytest.mark.parametrize("dtype", HALVES)
    def test_half_precision(self, op, dtype):
        x = tensor(SHAPE, dtype)
        y = op.forward(x)
        assert y.dtype == dtype
        assert torch.equal(y, op.forward(x.float()).to(dtype))

    def test_integers(self, op):
        x = torch.arange(84).reshape(SHAPE)
        assert op.forward(x).dtype == torch.float64
        np.testing.assert_array_equal(op.forward(x), op.forward(x.numpy()))

    def test_lazy_conjugates_and_views(self, op):
        z = tensor((6, 7, 2), torch.complex64)
        x = z.conj().permute(2, 1, 0)
        np.testing.assert_array_equal(op.forward(x), op.forward(x.resolve_conj()))
        assert x.imag.is_neg()
        np.testing.assert_array_equal(op.forward(x.imag), op.forward(x).imag)
        flat = torch.ones(1).expand(84)
        np.testing.assert_array_equal(op @ flat, op @ np.ones(84, "f4"))

    def test_no_copy_and_no_change(self, op, monkeypatch):
        """What is multiplied is the tensor's own memory."""
        seen, x = [], tensor((1, *SHAPE))
        apply = ConvLinearOperator.apply
        monkeypatch.setattr(
            ConvLinearOperator, "apply", lambda op, X: seen.append(X) or apply(op, X)
        )
        before = x.clone()
        op.forward(x)
        assert seen[0].ctypes.data == x.data_ptr() and torch.equal(x, before)

    def test_arrays_stay_arrays(self, op):
        assert isinstance(op.forward(np.ones(SHAPE)), np.ndarray)
        assert isinstance(op.forward(np.ones(SHAPE).tolist()), np.ndarray)


class TestSolves:
    @pytest.mark.parametrize("dtype", [*DTYPES, *HALVES])
    @pytest.mark.parametrize("shape", [(4, 7, 6), (3, 4, 7, 6), (168,)])
    def test_dtypes_and_shapes(self, dtype, shape):
        exact = dtype if dtype.is_complex or dtype == torch.float64 else torch.float32
        op = ConvLinearOperator(conv(dtype=exact).weight, SHAPE, padding=1)
        b = tensor(shape, exact).to(dtype)
        found, wanted = solve(op, b, "cgls"), solve(op, b.to(exact).numpy(), "cgls")
        assert isinstance(found.x, torch.Tensor) and found.x.dtype == dtype
        assert tuple(found.x.shape) == wanted.x.shape
        assert torch.equal(found.x, torch.tensor(wanted.x).to(dtype))
        assert isinstance(found.history, np.ndarray)
        np.testing.assert_array_equal(found.residual_norm, wanted.residual_norm)
        assert f"x: {dtype}" in repr(found)

    def test_all_arguments(self, op):
        b, x0, prior = tensor((4, 7, 6)), tensor(SHAPE, seed=2), tensor(SHAPE, seed=3)
        weights = tensor((4, 7, 6), seed=4).abs()
        mask = weights > 0.1
        given = {"x0": x0, "prior": prior, "weights": weights, "mask": mask}
        given |= {"damp": torch.tensor(0.3), "regularizer": torch.ones(1, 2)}
        found = solve(op, b, **given, rtol=1e-9)
        arrays = {name: value.numpy() for name, value in given.items()}
        wanted = solve(op, b.numpy(), **{**arrays, "damp": 0.3}, rtol=1e-9)
        np.testing.assert_allclose(found.x, wanted.x, atol=1e-6)
        bounds = (torch.tensor(-0.1), torch.full(SHAPE, 0.1))
        found = solve(op, b, bounds=bounds, damp=0.3)
        assert found.x.abs().max() <= 0.1 + 1e-7

    def test_mixed_arguments(self, op):
        """x is what b is."""
        b, x0 = tensor((4, 7, 6)), tensor(SHAPE)
        assert isinstance(solve(op, b.numpy(), x0=x0).x, np.ndarray)
        assert isinstance(solve(op, b, x0=x0.numpy()).x, torch.Tensor)
        rows = solve(op, [b[0], b[1], b[2], b[3]])
        np.testing.assert_allclose(rows.x, solve(op, b).x, atol=1e-4)

    def test_matrices(self):
        A, b = tensor((9, 4), torch.float64), tensor((9,), torch.float64)
        found = solve(A, b, rtol=1e-12).x
        np.testing.assert_allclose(found, torch.linalg.lstsq(A, b).solution, 1e-9)
        assert isinstance(solve(A, b.numpy()).x, np.ndarray)
        assert dot_test(A) and dot_test(nn.Parameter(A))

    def test_callbacks_see_tensors(self, op):
        seen = []

        def callback(state):
            seen.append(state)
            assert isinstance(state.x, torch.Tensor) and state.x.shape == SHAPE
            assert state.nit == len(seen) and state.residual_norm > 0
            return len(seen) == 3

        assert solve(op, tensor((4, 7, 6)), "cgls", callback=callback).nit == 3
        seen.clear()
        found = fista(op, tensor((4, 7, 6)), NonNegative(), callback=callback)
        assert found.nit == 3 and isinstance(found.x, torch.Tensor)

    def test_failures_have_tensors(self, op):
        options = {"maxiter": 1, "on_failure": "raise"}
        with pytest.raises(ConvergenceError) as caught:
            solve(op, tensor((4, 7, 6)), "cgls", **options)
        assert isinstance(caught.value.result.x, torch.Tensor)
        assert caught.value.args[1] is caught.value.result

    def test_warnings_name_this_file(self, op):
        b = tensor((4, 7, 6))
        for data in (b, b.numpy()):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                solve(op, data, "cgls", maxiter=1)
                fista(op, data, NonNegative(), maxiter=1)
                admm(op, data, NonNegative(), maxiter=1)
                minimize(op, data, NonNegative(), maxiter=1)
            assert len(caught) == 4

    def test_others(self, op):
        x = tensor((3, *SHAPE), torch.float64)
        for function in (normal_solve, project_nullspace):
            found = function(op, x)
            assert isinstance(found, torch.Tensor)
            np.testing.assert_allclose(found, function(op, x.numpy()), atol=1e-8)
        b = tensor((4, 7, 6))
        for method in ("admm", "fista", "proximal_gradient"):
            found = minimize(op, b, NonNegative(), method)
            wanted = minimize(op, b.numpy(), NonNegative(), method)
            np.testing.assert_allclose(found.x, wanted.x, atol=1e-5)
            assert isinstance(found.x, torch.Tensor)

    def test_pictures(self):
        image, psf = tensor((3, 24, 25)).abs(), torch.ones(3, 3)
        blurred = imaging.blur(image, psf)
        assert blurred.dtype == torch.float32
        wanted = imaging.blur(image.numpy(), psf.numpy())
        np.testing.assert_array_equal(blurred, wanted)
        options = {"strength": 0.05}
        found = imaging.deconvolve(blurred, psf, **options)
        wanted = imaging.deconvolve(blurred.numpy(), psf.numpy(), **options)
        np.testing.assert_array_equal(found, wanted)
        assert imaging.deconvolve(blurred.half(), psf).dtype == torch.float16
        two = imaging.deconvolve([blurred, blurred], psf, return_result=True, **options)
        assert isinstance(two.x, torch.Tensor) and two.success
        bytes_ = (blurred / blurred.max() * 255).to(torch.uint8)
        assert imaging.deconvolve(bytes_, psf).dtype == torch.float64
        assert imaging.estimate_noise(blurred) >= 0
        assert imaging.estimate_psf(image[0], blurred[0], 3).shape == (3, 3)


class TestKernels:
    @pytest.mark.parametrize("dtype", [*DTYPES, *HALVES])
    def test_parameters(self, dtype):
        weight = nn.Parameter(tensor((4, 2, 3, 3), dtype))
        op = ConvLinearOperator(weight, SHAPE)
        wide = weight.detach().to(torch.float32 if dtype in HALVES else dtype)
        np.testing.assert_array_equal(op.kernel, wide)
        assert op.dtype == wide.numpy().dtype

    def test_a_snapshot(self):
        layer = conv()
        for kernel in (layer, layer.weight, layer.weight.detach()):
            op = ConvLinearOperator(kernel, SHAPE)
            before = op.kernel.copy()
            with torch.no_grad():
                layer.weight.add_(1)
            np.testing.assert_array_equal(op.kernel, before)

    def test_conjugate_and_negative_bits(self):
        weight = tensor((4, 2, 3, 3), torch.complex128).conj()
        op = ConvLinearOperator(weight, SHAPE)
        np.testing.assert_array_equal(op.kernel, weight.resolve_conj())
        op = ConvLinearOperator(weight.imag, SHAPE)
        np.testing.assert_array_equal(op.kernel, weight.imag.resolve_neg())

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"padding": "same", "padding_mode": "circular", "bias": False},
            {"stride": (2, 1), "dilation": 2, "padding_mode": "reflect"},
            {"groups": 2, "padding": (0, 1), "padding_mode": "replicate"},
        ],
    )
    def test_layers_say_their_options(self, options):
        layer = conv(dtype=torch.float64, **options)
        op = ConvLinearOperator(layer, SHAPE)
        np.testing.assert_allclose(op.todense(), dense(layer, SHAPE), atol=1e-13)
        assert ConvLinearOperator(layer, SHAPE, dtype="f4").dtype == np.float32

    def test_names_of_boundaries(self):
        weight = conv().weight
        for theirs, ours in (("zeros", "zero"), ("circular", "periodic")):
            op = ConvLinearOperator(weight, SHAPE, padding=1, boundary=theirs)
            assert op.boundary == ours

    @pytest.mark.parametrize(
        "options", [{"stride": 2}, {"padding": (0, 0)}, {"boundary": "reflect"}]
    )
    def test_options_beside_a_layer(self, options):
        with pytest.raises(TypeError, match=f"{[*options][0]} can't be given.*{CALL}"):
            ConvLinearOperator(conv(), SHAPE, **options)

    @pytest.mark.parametrize(
        "layer", [nn.ConvTranspose2d(2, 2, 3), nn.Linear(2, 2)], ids=repr
    )
    def test_other_layers(self, layer):
        with pytest.raises(TypeError, match=f"no plain convolution: pass {CALL}"):
            ConvLinearOperator(layer, SHAPE)

    def test_no_layers(self):
        for module in (nn.ReLU(), nn.Sequential(conv())):
            with pytest.raises(TypeError, match="takes Conv, ConvTranspose and Linear"):
                ConvLinearOperator(module, SHAPE)
        with pytest.raises(ValueError, match="has no shape yet: apply"):
            ConvLinearOperator(nn.LazyConv2d(3, 3), SHAPE)
        with pytest.raises(ValueError, match="kernel has no shape yet: apply"):
            ConvLinearOperator(nn.LazyConv2d(3, 3).weight, SHAPE)


class TestLayersInPlaceOfOperators:
    LAYERS = {
        "conv": (lambda: conv(), SHAPE),
        "no bias": (lambda: conv(bias=False), SHAPE),
        "same": (lambda: conv(padding="same", padding_mode="reflect"), SHAPE),
        "transposed": (lambda: nn.ConvTranspose2d(2, 8, 2, stride=2), SHAPE),
        "output padding": (
            lambda: nn.ConvTranspose2d(2, 8, 3, stride=2, padding=1, output_padding=1),
            SHAPE,
        ),
        "1-D": (lambda: nn.Conv1d(2, 5, 3), (2, 20)),
        "linear": (lambda: nn.Linear(5, 8), (5,)),
    }

    @pytest.mark.parametrize("name", LAYERS)
    def test_solve(self, name):
        """x with layer(x) = y: the bias counts."""
        make, shape = self.LAYERS[name]
        torch.manual_seed(0)
        layer = make().double()
        for batch in ((), (8,)):  # as many as a linear layer's outputs
            x = tensor((*batch, *shape), torch.float64)
            with torch.no_grad():
                found = solve(layer, layer(x), rtol=1e-12).x
                found_of_array = solve(layer, layer(x).numpy(), rtol=1e-12).x
            np.testing.assert_allclose(found, x, atol=1e-8)
            assert isinstance(found_of_array, np.ndarray)
            np.testing.assert_array_equal(found_of_array, found)
        assert all(p.grad is None for p in layer.parameters())

    def test_others(self):
        layer = conv(dtype=torch.float64)
        x, op = tensor(SHAPE, torch.float64), ConvLinearOperator(layer, SHAPE)
        for function in (normal_solve, project_nullspace):
            np.testing.assert_array_equal(function(layer, x), function(op, x))
        y = layer(x).detach()
        found = minimize(layer, y, NonNegative(), maxiter=20, on_failure="ignore")
        b = y - layer.bias.detach()[:, None, None]
        wanted = minimize(op, b, NonNegative(), maxiter=20, on_failure="ignore")
        np.testing.assert_allclose(found.x, wanted.x, atol=1e-12)

    def test_sizes_that_do_not_follow(self):
        layer = conv(stride=2)
        with pytest.raises(ValueError, match=rf"{CALL}, one of \(7, 5\), .*\(8, 6\)"):
            solve(layer, tensor((4, 4, 3)))
        with pytest.raises(ValueError, match=r"b must have shape \(C, \*spatial\) or"):
            solve(layer, tensor((48,)))
        with pytest.raises(ValueError, match="b must have shape"):
            solve(conv(), tensor((5, 7, 6)))

    @pytest.mark.parametrize("function", [layer_report, spectrum, strip_plan, dot_test])
    def test_sizes_that_are_not_known(self, function):
        with pytest.raises(TypeError, match=f"got Conv2d: pass {CALL}"):
            function(conv())
        with pytest.raises(TypeError, match="got ReLU: .*Conv, ConvTranspose and Lin"):
            function(nn.ReLU())

    def test_no_layer(self):
        with pytest.raises(TypeError, match="op is a ReLU: .* takes Conv, ConvTransp"):
            solve(nn.ReLU(), tensor((4, 7, 6)))


class TestReports:
    LAYERS = {
        "conv": (lambda: conv(stride=2), SHAPE),
        "transposed": (lambda: nn.ConvTranspose2d(3, 2, 3, stride=2), (3, 4, 5)),
        "linear": (lambda: nn.Linear(5, 3), (5,)),
        "circular": (lambda: conv(padding_mode="circular"), SHAPE),
    }

    @pytest.mark.parametrize("name", LAYERS)
    def test_singular_values(self, name):
        make, shape = self.LAYERS[name]
        layer = make().double()
        values = np.linalg.svd(dense(layer, shape), compute_uv=False)
        found = layers.spectrum(layer, shape)
        assert found.exact and found.rank == np.sum(values > 1e-10)
        np.testing.assert_allclose(float(found.largest), values[0], rtol=1e-10)
        np.testing.assert_allclose(float(found.smallest), values[-1], rtol=1e-8)
        report = layers.layer_report(layer, shape, rng=0)
        assert report.spectrum.condition == pytest.approx(found.condition)
        assert "data and unknowns" in str(report)

    def test_refuses(self):
        with pytest.raises(TypeError, match="layer must be an nn.Conv1d.*got ReLU"):
            layers.spectrum(nn.ReLU(), SHAPE)
        with pytest.raises(ValueError, match="input_shape"):
            layers.layer_report(conv(), (3, 7, 6))


class TestGradients:
    """They would be dropped, and so they are refused."""

    ERROR = (
        r"{} requires a gradient, which {} would drop: for gradients there is "
        r"convinv\.interop\.torch\.conv_solve, else pass {}\.detach\(\)"
    )

    @pytest.mark.parametrize(
        ("name", "function", "call"),
        [
            ("b", "solve", lambda op, y, x: solve(op, y)),
            ("x0", "solve", lambda op, y, x: solve(op, y.detach(), x0=x)),
            ("prior", "solve", lambda op, y, x: solve(op, y.detach(), prior=x)),
            ("X", "forward", lambda op, y, x: op.forward(x)),
            ("Y", "adjoint", lambda op, y, x: op.adjoint(y)),
            ("x", "matvec", lambda op, y, x: op.matvec(x.ravel())),
            ("x", "rmatvec", lambda op, y, x: op.rmatvec(y.ravel())),
            ("x", "dot", lambda op, y, x: op @ x.ravel()),
            ("x", "_rdot", lambda op, y, x: y.ravel() @ op),
            ("X", "forward", lambda op, y, x: op.inverse().forward(y)),
            ("g", "normal_solve", lambda op, y, x: normal_solve(op, x)),
            ("x", "project_nullspace", lambda op, y, x: project_nullspace(op, x)),
            ("b", "minimize", lambda op, y, x: minimize(op, y, NonNegative())),
            ("image", "blur", lambda op, y, x: imaging.blur(x, np.ones((1, 1)))),
            ("b", "solve", lambda op, y, x: solve(conv(), y)),
            ("b", "solve", lambda op, y, x: solve(op, [*y])),
        ],
    )
    def test_arguments(self, op, name, function, call):
        y = tensor((4, 7, 6)).requires_grad_()
        x = tensor(SHAPE).requires_grad_()
        with pytest.raises(TypeError, match=self.ERROR.format(name, function, name)):
            call(op, y, x)
        with torch.no_grad():
            call(op, y, x)

    def test_damp(self, op):
        damp, b = nn.Parameter(torch.tensor(0.3)), tensor((4, 7, 6))
        with pytest.raises(TypeError, match=self.ERROR.format("damp", "solve", "damp")):
            solve(op, b, damp=damp)
        with pytest.raises(TypeError, match="damp requires a gradient"):
            op.inverse(damp)
        with pytest.raises(TypeError, match="damp requires a gradient"):
            normal_solve(op, b.numpy(), damp)
        wanted = solve(op, b, damp=0.3).x
        for value in (damp.detach(), damp.detach().double()):
            found = solve(op, b, damp=value).x
            np.testing.assert_allclose(found, wanted, atol=1e-5)
        with torch.no_grad():
            np.testing.assert_allclose(solve(op, b, damp=damp).x, wanted, atol=1e-5)

    def test_transforms(self, op):
        b = tensor((3, 4, 7, 6))
        inside = "inside a transform of torch.func.*torch.conv_solve there"
        with pytest.raises(TypeError, match=f"b is a tensor {inside}"):
            torch.vmap(lambda b: solve(op, b).x)(b)
        with pytest.raises(TypeError, match=f"b is a tensor {inside}"):
            torch.func.grad(lambda b: solve(op, b).x.sum())(b)
        with pytest.raises(TypeError, match=f"kernel is a tensor {inside}"):
            torch.vmap(lambda k: ConvLinearOperator(k, SHAPE).forward(b))(
                tensor((3, 4, 2, 3, 3))
            )


class TestTensorsThatCannotBeRead:
    @pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: tensor((9, 4)).to_sparse(), r"sparse tensor: pass op\.to_dense"),
            (lambda: tensor((9, 4)).to_sparse_csr(), r"sparse.*op\.to_dense\(\)"),
            (lambda: tensor((9, 4)).to("meta"), "on the device meta whose memory"),
            (lambda: torch.zeros(9, 4).to(torch.float8_e5m2), "float8_e5m2 on the dev"),
        ],
    )
    def test_errors(self, make, message):
        with pytest.raises(TypeError, match=f"op is a .*{message}"):
            solve(make(), tensor((9,)))

    def test_cuda_without_cupy(self, op, monkeypatch):
        class Elsewhere(torch.Tensor):
            def __dlpack_device__(self):
                return 2, 0

        monkeypatch.setitem(sys.modules, "cupy", None)
        b = tensor((4, 7, 6)).as_subclass(Elsewhere)
        for call in (lambda: solve(op, b), lambda: ConvLinearOperator(b[None], SHAPE)):
            with pytest.raises(ImportError, match=r"CuPy: pip install 'convinv\[cuda"):
                call()

    def test_subclasses(self, op):
        class Named(torch.Tensor):
            pass

        b = tensor((4, 7, 6))
        found = solve(op, b.as_subclass(Named)).x
        np.testing.assert_allclose(found, solve(op, b).x, atol=1e-4)


class TestRegistry:
    def test_the_library_is_told_by_the_class(self, op):
        known = [torch.ones(1), nn.Parameter(torch.ones(1)), conv(), nn.ReLU()]
        assert all(adapters.adapter_of(thing) is not None for thing in known)
        others = [np.ones(1), [1.0], (torch.ones(1),), op, None, "torch", 1.0]
        assert all(adapters.adapter_of(thing) is None for thing in others)
        assert adapters.is_foreign((None, torch.ones(1)))

    def test_another_library(self, monkeypatch):
        """An adapter is made for the first of its objects, and once."""
        made = []
        monkeypatch.setattr(adapters, "_loaders", dict(adapters._loaders))
        monkeypatch.setattr(adapters, "_loaded", dict(adapters._loaded))

        class Foreign:
            __module__ = "elsewhere.arrays"

        class Inherited(Foreign):
            __module__ = "mine"

        assert adapters.adapter_of(Foreign()) is None
        adapters.register_adapter("elsewhere", lambda: made.append(1) or "an adapter")
        assert adapters.adapter_of(Foreign()) == "an adapter"
        assert adapters.adapter_of(Inherited()) == "an adapter" and made == [1]
        adapters._library_of.cache_clear()

    def test_import_and_arrays_leave_pytorch_alone(self):
        code = (
            "import sys, numpy as np, convinv\n"
            "op = convinv.ConvLinearOperator(np.ones((2, 1, 2)), (1, 9))\n"
            "convinv.solve(op, op.forward(np.ones((1, 9))))\n"
            "print('torch' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True)
        assert done.stdout.split() == [b"False"], done.stderr

    def test_sizes_as_pytorch_has_them(self):
        x = tensor((1, *SHAPE))
        op = ConvLinearOperator(conv().weight, x.shape[1:], padding=1)
        assert op.input_shape == SHAPE and convinv.from_dlpack(x).shape == x.shape
