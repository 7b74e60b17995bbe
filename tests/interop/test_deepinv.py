"""Convolutions as physics of deepinv, and its physics in `solve`."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports
    deepinv = pytest.importorskip("deepinv")

import convinv  # noqa: E402
from convinv import ConvLinearOperator  # noqa: E402
from convinv.interop.deepinv import ConvPhysics  # noqa: E402

SIZE = (2, 9, 8)
KERNEL = np.random.default_rng(0).standard_normal((4, 2, 3, 3))
PADDINGS = ["valid", "circular", "replicate", "reflect", "constant"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def tensor(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, dtype=dtype, generator=generator)


def psf(*taps, channels=1):
    """A filter that some inverse exists of."""
    filter = 0.3 * tensor(1, channels, *taps, seed=5)
    filter[(..., *(k // 2 for k in taps))] += 1.0
    return filter


def dense(function, shape):
    """The matrix of a linear function of images of a shape."""
    unit = torch.eye(int(np.prod(shape)), dtype=torch.float64)
    made = function(unit.reshape(-1, *shape))
    return made.reshape(len(unit), -1).T.numpy()


def close(found, wanted, atol=1e-8):
    found, wanted = (torch.as_tensor(a).detach() for a in (found, wanted))
    torch.testing.assert_close(found, wanted, rtol=0, atol=atol)


def least(matrix, y, shape):
    """The minimizers of least norm for a batch."""
    x = y.reshape(len(y), -1).numpy() @ np.linalg.pinv(matrix).T
    return torch.as_tensor(x).reshape(len(y), *shape)


class TestAgreesWithBlur:
    """The same filter, the same products, for everything that deepinv can do."""

    @pytest.mark.parametrize("padding", PADDINGS)
    @pytest.mark.parametrize("taps", [(3, 3), (4, 3), (4, 5)])
    @pytest.mark.parametrize("channels", [1, 2])
    def test_products(self, padding, taps, channels):
        filter = psf(*taps, channels=channels)
        blur = deepinv.physics.Blur(filter, padding=padding)
        physics = ConvPhysics(filter, SIZE, padding=padding)
        x = tensor(3, *SIZE)
        y = blur.A(x)
        close(physics.A(x), y, 1e-12)
        close(physics.A_adjoint(y), blur.A_adjoint(y), 1e-12)
        close(physics.A_adjoint_A(x), blur.A_adjoint_A(x), 1e-12)
        close(physics.A_A_adjoint(y), blur.A_A_adjoint(y), 1e-12)

    @pytest.mark.parametrize("padding", ["valid", "circular"])
    def test_three_axes(self, padding):
        filter = psf(3, 5, 3)
        blur = deepinv.physics.Blur(filter, padding=padding)
        x = tensor(2, 2, 5, 6, 4)
        physics = ConvPhysics(filter, padding=padding)
        close(physics.A(x), blur.A(x), 1e-12)
        close(physics.A_adjoint(blur.A(x)), blur.A_adjoint(blur.A(x)), 1e-12)

    @pytest.mark.parametrize("kind", ["Blur", "BlurFFT", "Downsampling", "decimation"])
    def test_a_physics_is_read(self, kind):
        size, filter = (2, 8, 8), psf(3, 3)
        made = {
            "Blur": lambda: deepinv.physics.Blur(filter, padding="reflect"),
            "BlurFFT": lambda: deepinv.physics.BlurFFT(size, filter),
            "Downsampling": lambda: deepinv.physics.Downsampling(
                size, filter, factor=2, padding="circular"
            ),
            "decimation": lambda: deepinv.physics.Downsampling(size, None, factor=2),
        }[kind]()
        made.noise_model = deepinv.physics.GaussianNoise(0.1)
        physics = ConvPhysics(made, size)
        x = tensor(3, *size)
        y = made.A(x)
        close(physics.A(x), y, 1e-6 if kind == "BlurFFT" else 1e-12)
        close(physics.A_adjoint(y), made.A_adjoint(y), 1e-5)
        assert physics.noise_model is made.noise_model

    def test_its_own_solver_comes_close(self):
        """The exact inverses are what its iterations tend to."""
        filter, x, z = psf(3, 3), tensor(2, *SIZE), tensor(2, *SIZE, seed=1)
        blur = deepinv.physics.Blur(filter, padding="reflect")
        physics = ConvPhysics(blur)
        y = blur.A(x)
        options = {"tol": 1e-12, "max_iter": 2000}
        close(physics.A_dagger(y), x)
        close(physics.A_dagger(y), blur.A_dagger(y, **options), 1e-4)
        close(physics.prox_l2(z, y, 3.0), blur.prox_l2(z, y, 3.0, **options), 1e-5)


KINDS = {
    "valid": lambda: (psf(3, 3), {"padding": "valid"}),
    "constant": lambda: (psf(3, 4, channels=2), {"padding": "constant"}),
    "symmetric": lambda: (psf(3, 3), {"padding": "symmetric"}),
    "stride": lambda: (psf(3, 3), {"padding": "circular", "stride": (1, 2)}),
    "operator": lambda: (ConvLinearOperator(KERNEL, SIZE, padding=1, stride=2), {}),
    "adjoint": lambda: (
        ConvLinearOperator(KERNEL, (2, 9, 6), padding=((1, 0), (1, 2)), flip=True).H,
        {},
    ),
    "layer": lambda: (conv(torch.nn.Conv2d), {}),
    "transposed": lambda: (conv(torch.nn.ConvTranspose2d), {}),
}


def conv(kind):
    torch.manual_seed(0)
    layer = kind(2, 5, 3, stride=2, padding=1, dtype=torch.float64)
    return layer.requires_grad_(False)


@pytest.fixture(params=KINDS)
def physics(request):
    op, options = KINDS[request.param]()
    size = op.input_shape if hasattr(op, "input_shape") else SIZE
    return ConvPhysics(op, size, **options)


class TestInverses:
    """Against the dense pseudoinverse, for tall and wide matrices."""

    def test_products(self, physics):
        matrix = dense(physics.A, physics.img_size)
        x = tensor(2, *physics.img_size)
        y = physics(x)
        flat = y.reshape(2, -1).numpy()
        close(flat, x.reshape(2, -1).numpy() @ matrix.T, 1e-12)
        close(physics.A_adjoint(y).reshape(2, -1), flat @ matrix, 1e-12)
        op = physics.operator(y.shape)
        assert op.output_shape == y.shape[1:]
        close(op.forward(x.numpy()), y, 1e-12)
        assert float(physics.adjointness_test(dtype=torch.float64)) < 1e-12

    def test_pseudoinverse(self, physics):
        matrix = dense(physics.A, physics.img_size)
        y = physics(tensor(2, *physics.img_size))
        y = y + 0.1 * tensor(*y.shape, seed=2)  # beyond the range of tall ones
        close(physics.A_dagger(y), least(matrix, y, physics.img_size), 1e-7)
        assert physics.last.success and physics.last.x is None

    def test_the_operator_itself(self):
        op = ConvLinearOperator(KERNEL, SIZE, padding=1, flip=True)
        x = tensor(2, *SIZE)
        close(ConvPhysics(op)(x), op.forward(x.numpy()), 1e-12)
        close(ConvPhysics(op.H)(tensor(2, 4, 9, 8)), op.adjoint(tensor(2, 4, 9, 8)))

    def test_norm(self, physics):
        matrix = dense(physics.A, physics.img_size)
        start = tensor(*physics.img_size)[None]
        torch.manual_seed(0)
        norm = physics.compute_sqnorm(start, tol=1e-8, max_iter=2000, verbose=False)
        assert float(norm) == pytest.approx(np.linalg.norm(matrix, 2) ** 2, rel=1e-3)

    @pytest.mark.parametrize("gamma", [0.5, 1e4])
    def test_prox(self, physics, gamma):
        n = int(np.prod(physics.img_size))
        matrix = dense(physics.A, physics.img_size)
        y = physics(tensor(2, *physics.img_size))
        z = tensor(2, *physics.img_size, seed=3)
        normal = gamma * matrix.T @ matrix + np.eye(n)
        right = gamma * y.reshape(2, -1).numpy() @ matrix + z.reshape(2, n).numpy()
        wanted = np.linalg.solve(normal, right.T).T.reshape(z.shape)
        close(physics.prox_l2(z, y, gamma), wanted, 1e-8)


class TestProx:
    @pytest.fixture
    def blur(self):
        return ConvPhysics(psf(3, 3), SIZE, padding="replicate")

    def test_starts(self, blur):
        y = tensor(2, *SIZE)
        zero, half = torch.zeros_like(y), torch.full_like(y, 0.5)
        close(blur.prox_l2(None, y, 2.0), blur.prox_l2(zero, y, 2.0))
        close(blur.prox_l2(0, y, 2.0), blur.prox_l2(zero, y, 2.0))
        close(blur.prox_l2(0.5, y, 2.0), blur.prox_l2(half, y, 2.0))

    @pytest.mark.parametrize("shape", [(2,), (2, 1, 1, 1)])
    def test_a_gamma_for_each(self, blur, shape):
        y, z = tensor(2, *SIZE), tensor(2, *SIZE, seed=1)
        gamma = torch.tensor([0.5, 4.0], dtype=torch.float64)
        found = blur.prox_l2(z, y, gamma.reshape(shape))
        for i in range(2):
            one = blur.prox_l2(z[i : i + 1], y[i : i + 1], float(gamma[i]))
            close(found[i : i + 1], one)
        close(blur.prox_l2(None, y, gamma)[0], blur.prox_l2(None, y, 0.5)[0])

    def test_iterations_that_are_not_made(self, blur):
        y = tensor(1, *SIZE)
        options = {"solver": "lsqr", "max_iter": 1, "tol": 1.0, "verbose": True}
        close(blur.A_dagger(y, **options), blur.A_dagger(y))
        close(blur.prox_l2(None, y, 1.0, **options), blur.prox_l2(None, y, 1.0))

    @pytest.mark.parametrize("gamma", [0.0, -1.0, torch.tensor(-2.0)])
    def test_refused(self, blur, gamma):
        with pytest.raises(ValueError, match="gamma must be above 0, got"):
            blur.prox_l2(None, tensor(1, *SIZE), gamma)

    def test_gammas_that_do_not_fit(self, blur):
        with pytest.raises(ValueError, match="one for each of the 2 items, got 3"):
            blur.prox_l2(None, tensor(2, *SIZE), torch.ones(3))


class TestGradients:
    SMALL = (2, 5, 4)

    @pytest.mark.parametrize("padding", ["valid", "reflect"])
    def test_by_what_is_given(self, padding):
        physics = ConvPhysics(psf(3, 3), self.SMALL, padding=padding)
        x = tensor(2, *self.SMALL).requires_grad_()
        y = physics(x.detach()).requires_grad_()
        z, gamma = tensor(2, *self.SMALL, seed=1).requires_grad_(), torch.tensor(
            2.0, dtype=torch.float64, requires_grad=True
        )

        def check(function, given):
            return torch.autograd.gradcheck(function, given, eps=1e-4, atol=1e-5)

        assert check(physics.A, x) and check(physics.A_adjoint, y)
        assert check(physics.A_dagger, y)
        assert check(lambda *a: physics.prox_l2(*a), (z, y, gamma))
        assert torch.autograd.gradgradcheck(physics.A_dagger, y, eps=1e-4, atol=1e-4)

    def test_by_the_weight_of_a_layer(self):
        layer = torch.nn.Conv2d(2, 3, 3, padding=1, dtype=torch.float64)
        physics = ConvPhysics(layer, self.SMALL)
        assert list(physics.parameters()) == list(layer.parameters())
        x = tensor(1, *self.SMALL)

        def loss(weight):
            given = {"layer.weight": weight}
            made = torch.func.functional_call(physics, given, (x,))
            return made.square().sum() + made.sum()

        assert torch.autograd.gradcheck(loss, layer.weight)
        physics.A_dagger(physics(x) + 0.1).sum().backward()
        assert float(layer.weight.grad.abs().max()) > 0

    def test_transforms(self):
        physics = ConvPhysics(psf(3, 3), self.SMALL, padding="circular")
        x, v = tensor(1, *self.SMALL), tensor(1, *self.SMALL, seed=1)
        _, tangent = torch.func.jvp(physics.A, (x,), (v,))
        close(tangent, physics.A(v), 1e-12)
        close(physics.A_vjp(x, v), physics.A_adjoint(v))
        stacked = torch.func.vmap(physics.A)(torch.stack([x, v]))
        close(stacked[1], physics.A(v), 1e-12)


class TestAModule:
    def test_noise(self):
        noise = deepinv.physics.GaussianNoise(0.5)
        physics = ConvPhysics(psf(3, 3), SIZE, noise_model=noise)
        x = tensor(1, *SIZE)
        assert float((physics(x) - physics.A(x)).std()) > 0.2

    def test_dtypes(self):
        physics = ConvPhysics(psf(3, 3).numpy(), SIZE, padding="circular")
        assert physics.kernel.dtype == torch.float32  # PyTorch's default
        x = tensor(1, *SIZE, dtype=torch.float32)
        y = physics(x)
        assert y.dtype == physics.A_dagger(y).dtype == torch.float32
        close(physics.A_dagger(y), x, 1e-4)
        assert physics.A(x.half()).dtype == torch.float16
        double = physics.to(torch.float64)
        assert double(x.double()).dtype == torch.float64
        close(double.A_dagger(double(x.double())), x.double())

    def test_copies_and_states(self):
        physics = ConvPhysics(psf(3, 3), SIZE)
        x = tensor(1, *SIZE)
        copy = physics.clone()
        other = ConvPhysics(torch.ones_like(psf(3, 3)), SIZE)
        other.load_state_dict(physics.state_dict())
        for one in (copy, other):
            close(one.A(x), physics.A(x))
        physics.update(kernel=torch.zeros_like(physics.kernel))
        assert not physics.A(x).any() and copy.A(x).any()
        assert not copy.A(x, kernel=physics.kernel).any()

    def test_any_size(self):
        physics = ConvPhysics(psf(3, 3), padding="valid")
        for size in (SIZE, (1, 6, 11)):
            x = tensor(2, *size)
            y = physics(x)
            assert physics.A_dagger(y).shape == x.shape
            close(physics(physics.A_dagger(y)), y)

    def test_combinations(self):
        one = ConvPhysics(psf(3, 3), SIZE, padding="circular")
        two = ConvPhysics(psf(3, 2), SIZE, padding="constant")
        x = tensor(2, *SIZE)
        first, second = one.stack(two)(x)
        close(first, one(x))
        close(second, two(x))
        close((two * one)(x), two(one(x)))


class TestOptimizers:
    """deepinv's own, with its prior."""

    @pytest.mark.parametrize("name", ["PGD", "HQS", "ADMM"])
    def test_as_with_blur(self, name):
        filter = psf(3, 3)
        blur = deepinv.physics.Blur(filter, padding="circular", tol=1e-10, max_iter=500)
        physics = ConvPhysics(filter, SIZE, padding="circular")
        y = blur.A(tensor(1, *SIZE))
        options = {"stepsize": 0.3, "lambda_reg": 0.02, "max_iter": 15}
        found = []
        for one in (blur, physics):
            model = getattr(deepinv.optim, name)(
                deepinv.optim.L2(), deepinv.optim.TVPrior(n_it_max=50), **options
            )
            found.append(model(y, one))
        assert found[0].shape == (1, *SIZE)
        close(found[1], found[0], 1e-5)


class TestRefused:
    @pytest.mark.parametrize(
        ("op", "options", "error", "words"),
        [
            (object(), {}, (TypeError, ValueError), "."),
            (torch.nn.Linear(2, 2), {}, TypeError, "a filter, got Linear"),
            (np.ones(3), {}, ValueError, r"a filter must have shape .*got \(3,\)"),
            (torch.ones(2, 1, 3, 3), {}, ValueError, "filters one by one"),
            (np.ones((3, 3)), {"padding": "odd"}, ValueError, "padding must be one of"),
            (torch.nn.Conv2d(2, 2, 3), {"stride": 2}, ValueError, "are for a filter"),
            (np.ones((30, 3)), {}, ValueError, "kernel does not fit"),
            (np.ones((3, 3)), {"on_failure": "no"}, ValueError, "on_failure"),
        ],
    )
    def test_arguments(self, op, options, error, words):
        with pytest.raises(error, match=words):
            ConvPhysics(op, SIZE, **options)

    def test_sizes(self):
        physics = ConvPhysics(psf(3, 3), SIZE)
        with pytest.raises(ValueError, match=r"x must have shape \(B, 2, 9, 8\), got"):
            physics(tensor(1, 2, 8, 8))
        with pytest.raises(ValueError, match=r"y must have shape \(B, 2, 7, 6\)"):
            physics.A_dagger(tensor(1, 2, 8, 8))
        with pytest.raises(ValueError, match=r"y must have shape \(B, 2, 7, 6\)"):
            physics.A_adjoint(tensor(1, 3, 7, 6))
        with pytest.raises(ValueError, match=r"z must have shape \(B, 2, 9, 8\)"):
            physics.prox_l2(tensor(1, 1, 9, 8), tensor(1, 2, 7, 6), 1.0)
        with pytest.raises(ValueError, match=r"x must have shape \(B, C, \*spatial\)"):
            physics(tensor(*SIZE))
        op = ConvLinearOperator(KERNEL, SIZE)
        with pytest.raises(ValueError, match=r"img_size of this operator is \(2, 9"):
            ConvPhysics(op, (2, 8, 8))
        strided = ConvPhysics(psf(3, 3), stride=2)
        with pytest.raises(ValueError, match="give img_size to ConvPhysics"):
            strided.A_dagger(tensor(1, 1, 3, 3))


class TestInSolve:
    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("padding", ["valid", "reflect"])
    def test_a_blur_is_a_convolution(self, channels, padding):
        blur = deepinv.physics.Blur(psf(3, 3, channels=channels), padding=padding)
        x = tensor(2, *SIZE)
        y = blur.A(x)
        result = convinv.solve(blur, y, rtol=1e-12)
        assert result.success and isinstance(result.x, torch.Tensor)
        close(result.x, least(dense(blur.A, SIZE), y, SIZE))
        one = convinv.solve(blur, y[0], rtol=1e-12)
        close(one.x, result.x[0])

    def test_downsampling(self):
        size = (2, 8, 8)
        physics = deepinv.physics.Downsampling(size, psf(3, 3), factor=2)
        y = physics.A(tensor(2, *size))
        found = convinv.solve(physics, y, rtol=1e-12).x
        close(found, least(dense(physics.A, size), y, size))

    def test_ours(self, physics):
        y = physics(tensor(2, *physics.img_size))
        found = convinv.solve(physics, y, rtol=1e-12)
        close(found.x, physics.A_dagger(y), 1e-7)

    def test_any_linear_physics(self):
        mask = (tensor(*SIZE) > 0.4).double()
        inpainting = deepinv.physics.Inpainting(SIZE, mask=mask)
        x = tensor(2, *SIZE)
        found = convinv.solve(inpainting, inpainting.A(x), rtol=1e-10)
        assert found.success
        close(found.x, mask * x)

    @pytest.mark.filterwarnings("ignore:At least one input physics")
    def test_double_precision(self):
        """A physics in single precision is taken in double where it can be."""
        size = (1, 6, 6)
        physics = deepinv.physics.Blur(psf(3, 3).float(), padding="circular")
        both = physics * deepinv.physics.Inpainting(size, mask=torch.ones(size))
        y = both.A(tensor(1, *size, dtype=torch.float32))
        found = convinv.solve(both, y.double(), rtol=1e-10)
        assert found.success and found.x.dtype == torch.float64
        assert physics.filter.dtype == torch.float32

    def test_functions(self):
        """Tensors that no buffer holds stay in single precision."""
        weight = psf(3, 3).float()[0, 0, 1]

        def A(x, **kwargs):
            return x * weight[1] + torch.roll(x, 1, -1) @ torch.eye(8) * weight[0]

        def A_adjoint(y, **kwargs):
            return y * weight[1] + torch.roll(y @ torch.eye(8), -1, -1) * weight[0]

        physics = deepinv.physics.LinearPhysics(A=A, A_adjoint=A_adjoint)
        x = tensor(2, 1, 3, 8, dtype=torch.float32)
        found = convinv.solve(physics, A(x), rtol=1e-5)
        assert found.success and found.x.dtype == torch.float32
        close(found.x, x, 1e-4)

    def test_gradients_are_refused(self):
        blur = deepinv.physics.Blur(psf(3, 3))
        with pytest.raises(TypeError, match="requires a gradient, which solve"):
            convinv.solve(blur, tensor(1, *SIZE).requires_grad_())

    def test_other_functions(self):
        blur = deepinv.physics.Blur(psf(3, 3), padding="constant")
        x = tensor(2, *SIZE)
        projected = convinv.project_nullspace(blur, x)
        assert float(projected.abs().max()) < 1e-9
        sparse = convinv.proximal.fista(
            blur, blur.A(x), convinv.proximal.NonNegative(), maxiter=2000
        )
        close(sparse.x, x, 1e-2)
        normal = convinv.normal_solve(blur, x)
        close(blur.A_adjoint(blur.A(normal.x if hasattr(normal, "x") else normal)), x)

    @pytest.mark.parametrize(
        ("make", "shape", "error", "words"),
        [
            (
                lambda: deepinv.physics.Physics(A=torch.abs),
                (1, *SIZE),
                TypeError,
                "no LinearPhysics",
            ),
            (
                lambda: deepinv.physics.Blur(psf(3, 3)),
                (3, 3),
                ValueError,
                r"b must have shape \(B, C, \*spatial\)",
            ),
            (lambda: deepinv.physics.Blur(), (1, *SIZE), ValueError, "no filter yet"),
            (
                lambda: deepinv.physics.Blur(psf(3, 3)).stack(
                    deepinv.physics.Blur(psf(3, 3))
                ),
                (1, *SIZE),
                TypeError,
                "whose results are lists: make a convinv.operators.StackedOperator",
            ),
        ],
    )
    def test_refused(self, make, shape, error, words):
        with pytest.raises(error, match=words):
            convinv.solve(make(), tensor(*shape))

    def test_without_data_that_tell_the_size(self):
        blur = deepinv.physics.Blur(psf(3, 3))
        with pytest.raises(TypeError, match=r"ConvPhysics\(physics, img_size\)"):
            convinv.layer_report(blur)
