"""conv_solve under JAX, by JAX's own convolution and checks, and JAX arrays."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
from jax.test_util import check_grads  # noqa: E402

from convinv import (  # noqa: E402
    ConvergenceWarning,
    ConvLinearOperator,
    imaging,
    normal_solve,
    solve,
)
from convinv.interop import _call  # noqa: E402
from convinv.interop.jax import (  # noqa: E402
    conv_adjoint,
    conv_forward,
    conv_solve,
)
from support.arrays import normal  # noqa: E402
from support.interop_layers import every_layer, layer  # noqa: E402
from support.operator_layers import dense  # noqa: E402

jnp = jax.numpy


@pytest.fixture(autouse=True)
def double_precision():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture
def solves(monkeypatch):
    """The numbers of right-hand sides of the solves that are made."""
    counted, unwrapped = [], _call.solve

    def counting(op, b, *args, **kwargs):
        counted.append(int(np.prod(b.shape)) // op.shape[0])
        return unwrapped(op, b, *args, **kwargs)

    monkeypatch.setattr(_call, "solve", counting)
    return counted


def options(op):
    return {k: v for k, v in op.options.items() if k != "flip"}


def data(op, count=2, seed=0, output=False):
    shape = op.output_shape if output else op.input_shape
    return normal(np.random.default_rng(seed), (count, *shape), op.dtype)


class TestProducts:
    @every_layer
    def test_equal_the_matrix(self, op):
        A, x, y = dense(op), data(op), data(op, output=True)
        got = conv_forward(x, op.kernel, **options(op))
        want = (x.reshape(2, -1) @ A.T).reshape(2, *op.output_shape)
        np.testing.assert_allclose(got, want, atol=1e-12)
        back = conv_adjoint(y, op.kernel, op.input_shape, **options(op))
        want = (y.reshape(2, -1) @ A.conj()).reshape(2, *op.input_shape)
        np.testing.assert_allclose(back, want, atol=1e-12)
        one = conv_forward(x[0], op.kernel, **options(op))
        np.testing.assert_allclose(one, got[0], atol=1e-13)

    def test_equal_jax_s_own(self):
        rng = np.random.default_rng(0)
        x, kernel = rng.standard_normal((2, 4, 9, 8)), rng.standard_normal((6, 2, 3, 2))
        want = jax.lax.conv_general_dilated(
            x, kernel, (2, 1), [(1, 0), (2, 1)], rhs_dilation=(1, 2),
            feature_group_count=2,
        )  # fmt: skip
        got = conv_forward(
            x, kernel, stride=(2, 1), padding=((1, 0), (2, 1)), dilation=(1, 2),
            groups=2,
        )  # fmt: skip
        np.testing.assert_allclose(got, want)

    def test_are_differentiated_and_batched(self):
        op = layer(boundary="replicate")
        x, more = data(op, 3), options(op)
        function = lambda x, k: conv_forward(x, k, **more)  # noqa: E731
        check_grads(function, (x, op.kernel), order=2)
        adjoint = lambda y, k: conv_adjoint(y, k, op.input_shape, **more)  # noqa: E731
        check_grads(adjoint, (data(op, 1, output=True), op.kernel), order=1)
        each = jax.jit(jax.vmap(function, (0, None)))(x, op.kernel)
        np.testing.assert_allclose(each, function(x, op.kernel), atol=1e-13)

    def test_shapes_that_do_not_fit(self):
        op = layer()
        with pytest.raises(ValueError, match=r"y must have shape \(..., 4, "):
            conv_adjoint(np.ones((3, 3)), op.kernel, op.input_shape, **options(op))
        with pytest.raises(ValueError, match="channels"):
            conv_forward(np.ones((5, 5, 6)), op.kernel)


class TestSolutions:
    @every_layer
    @pytest.mark.parametrize("damp", [0.0, 0.5])
    def test_equal_the_pseudoinverse(self, op, damp):
        A, y = dense(op), data(op, output=True)
        gram = A.conj().T @ A + damp**2 * np.eye(A.shape[1])
        want = np.linalg.solve(gram, A.conj().T @ y.reshape(2, -1).T).T
        got = conv_solve(y, op.kernel, op.input_shape, damp=damp, **options(op))
        assert isinstance(got, jax.Array) and got.dtype == op.dtype
        np.testing.assert_allclose(got.reshape(2, -1), want, atol=1e-9)

    @pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
    def test_leading_axes(self, lead, solves):
        op = layer()
        x = normal(np.random.default_rng(0), (*lead, *op.input_shape))
        y = conv_forward(x, op.kernel, **options(op))
        got = conv_solve(y, op.kernel, op.input_shape, **options(op))
        np.testing.assert_allclose(got, x, atol=1e-9)
        assert solves == [int(np.prod(lead))]

    def test_of_least_norm_with_a_bias(self):
        rng = np.random.default_rng(0)
        kernel, bias = rng.standard_normal((2, 3, 3, 3)), rng.standard_normal(2)
        op = ConvLinearOperator(kernel, (3, 7, 7), stride=2)
        y = rng.standard_normal(op.output_shape)
        A = dense(op)
        got = conv_solve(y, kernel, (3, 7, 7), bias=bias, stride=2)
        want = np.linalg.pinv(A) @ (y - bias[:, None, None]).ravel()
        np.testing.assert_allclose(got.ravel(), want, atol=1e-9)

    def test_dtypes(self):
        op = layer(dtype="float32")
        x = data(op)
        y = jnp.asarray(op.forward(x))
        for dtype, atol in (("float32", 1e-4), ("float16", 2e-2), ("bfloat16", 0.2)):
            given = y.astype(dtype), jnp.asarray(op.kernel).astype(dtype)
            got = conv_solve(*given, op.input_shape, rtol=1e-5, **options(op))
            assert got.dtype == dtype
            np.testing.assert_allclose(got.astype("float64"), x, atol=atol)
        got = conv_solve(y, op.kernel.astype(complex), op.input_shape, **options(op))
        assert got.dtype == "complex128"

    def test_without_double_precision(self):
        jax.config.update("jax_enable_x64", False)
        op = layer(dtype="float32")
        y = op.forward(data(op))
        loss = lambda y: (conv_solve(y, op.kernel, op.input_shape,  # noqa: E731
                                     **options(op)) ** 2).sum()  # fmt: skip
        g = jax.grad(loss)(jnp.asarray(y))
        x = jnp.asarray(data(op))
        A = dense(op).astype(float)
        want = 2 * x.reshape(2, -1) @ np.linalg.pinv(A)
        assert g.dtype == "float32"
        np.testing.assert_allclose(g.reshape(2, -1), want, atol=1e-3)

    def test_a_tolerance_that_is_not_reached(self):
        op = layer()
        y = data(op, output=True)
        same = options(op)
        solved = conv_solve(y, op.kernel, op.input_shape, method="cgls", **same)
        assert np.isfinite(solved).all()
        hard = jnp.asarray(y).at[0, 0, 0, 0].set(np.nan)
        for choice in ("ignore", "raise"):
            call = lambda: conv_solve(hard, op.kernel, op.input_shape,  # noqa: E731
                                      on_failure=choice, **same)  # fmt: skip
            if choice == "raise":
                with pytest.raises(Exception, match="non-finite|finite"):
                    call().block_until_ready()
        kernel = np.ones((1, 1, 2))  # a zero of the symbol: slow for few sweeps
        with pytest.warns(ConvergenceWarning):
            conv_solve(
                np.random.default_rng(0).standard_normal((1, 64)),
                kernel, (1, 64), padding=((0, 1),), method="kaczmarz", rtol=1e-14,
            ).block_until_ready()  # fmt: skip

    def test_arguments_that_make_no_sense(self):
        op = layer()
        y = data(op, output=True)
        shape, same = op.input_shape, options(op)
        with pytest.raises(ValueError, match="damp must be one real number"):
            conv_solve(y, op.kernel, shape, damp=np.ones(2), **same)
        with pytest.raises(ValueError, match=r"bias must have shape \(4,\)"):
            conv_solve(y, op.kernel, shape, bias=np.ones(2), **same)
        with pytest.raises(ValueError, match=r"y must have shape \(..., 4, "):
            conv_solve(y[..., 1:], op.kernel, shape, **same)
        with pytest.raises(TypeError, match="kernel must be an array of floating"):
            conv_solve(y, np.ones((4, 2, 3, 2), int), shape, **same)
        with pytest.raises(ValueError, match="on_failure"):
            conv_solve(y, op.kernel, shape, on_failure="shout", **same)


CHANNELS = {"tall": (2, 4), "square": (2, 2), "wide": (3, 2)}
cases = pytest.mark.parametrize("case", CHANNELS)
damps = pytest.mark.parametrize("damp", [0.0, 0.4])


def problem(case, dtype="float64", seed=0, **more):
    c_in, c_out = CHANNELS[case]
    rng = np.random.default_rng(seed)
    kernel = normal(rng, (c_out, c_in, 3, 3), dtype)
    if case == "square":  # well conditioned, for finite differences
        kernel[range(c_in), range(c_in), 1, 1] += 8
    padding = {"padding": 1} if case == "square" else {}
    op = ConvLinearOperator(kernel, (c_in, 5, 4), **padding, **more)
    y = normal(rng, (2, *op.output_shape), dtype)
    return op, jnp.asarray(y), jnp.asarray(kernel)


def function(op, damp):
    """conv_solve of y, the kernel and, if it is not 0, the damp."""

    def solved(y, kernel, damp=0.0):
        return conv_solve(
            y, kernel, op.input_shape, damp=damp, rtol=1e-11, **options(op)
        )

    return solved, (damp,) if damp else ()


class TestGradients:
    @damps
    @cases
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_by_jax_s_check(self, case, damp, dtype):
        op, y, kernel = problem(case, dtype)
        solved, more = function(op, damp)
        check_grads(solved, (y, kernel, *more), order=1, modes=["rev"])

    @damps
    @pytest.mark.parametrize("boundary", ["periodic", "reflect", "symmetric"])
    def test_boundaries(self, boundary, damp):
        op = layer(2, boundary)
        y = jnp.asarray(data(op, output=True))
        solved, more = function(op, damp)
        check_grads(solved, (y, jnp.asarray(op.kernel), *more), 1, modes=["rev"])

    @pytest.mark.parametrize("ndim", [1, 3])
    def test_other_numbers_of_axes(self, ndim):
        op = layer(ndim)
        y = jnp.asarray(data(op, output=True))
        solved, _ = function(op, 0.0)
        check_grads(solved, (y, jnp.asarray(op.kernel)), 1, modes=["rev"])

    @damps
    def test_groups_strides_dilation(self, damp):
        rng = np.random.default_rng(0)
        kernel = rng.standard_normal((8, 2, 2, 2))
        op = ConvLinearOperator(kernel, (4, 7, 6), groups=2, stride=2, dilation=(1, 2))
        y = jnp.asarray(rng.standard_normal(op.output_shape))
        solved, more = function(op, damp)
        check_grads(solved, (y, jnp.asarray(kernel), *more), 1, modes=["rev"])

    def test_layers_without_full_rank(self):
        """Rows that say the same: the pseudoinverse has both terms."""
        rng = np.random.default_rng(0)
        kernel = rng.standard_normal((3, 2, 1, 1))
        op = ConvLinearOperator(kernel, (2, 5, 4), stride=2)
        y = jnp.asarray(rng.standard_normal(op.output_shape))
        solved, _ = function(op, 0.0)
        check_grads(solved, (y, jnp.asarray(kernel)), 1, modes=["rev"])

    def test_equal_those_of_a_dense_solve(self):
        op, y, kernel = problem("tall")
        solved, _ = function(op, 0.3)
        m, n = op.shape

        def plain(y, kernel, damp):
            units = jnp.eye(n).reshape(n, *op.input_shape)
            A = conv_forward(units, kernel, **options(op)).reshape(n, m).T
            gram = A.T @ A + damp**2 * jnp.eye(n)
            return jnp.linalg.solve(gram, A.T @ y.reshape(-1, m).T).T

        weights = normal(np.random.default_rng(3), (2, n))
        ours = lambda *a: (solved(*a).reshape(2, n) * weights).sum()  # noqa: E731
        theirs = lambda *a: (plain(*a) * weights).sum()  # noqa: E731
        got = jax.grad(ours, (0, 1, 2))(y, kernel, 0.3)
        want = jax.grad(theirs, (0, 1, 2))(y, kernel, 0.3)
        for a, b in zip(got, want):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8)

    def test_by_the_bias(self):
        op, y, kernel = problem("tall")
        bias = jnp.asarray([0.1, -0.2, 0.3, 0.4])
        f = lambda bias: conv_solve(y, kernel, op.input_shape, bias=bias)  # noqa: E731
        check_grads(f, (bias,), 1, modes=["rev"])

    def test_of_mixed_dtypes(self):
        """The gradient by a real y is real where the kernel is complex."""
        op, _, kernel = problem("tall", "complex128")
        y = jnp.asarray(np.random.default_rng(1).standard_normal(op.output_shape))
        f = lambda y: conv_solve(y, kernel, op.input_shape)  # noqa: E731
        check_grads(f, (y,), 1, modes=["rev"])
        g = jax.grad(lambda y: (abs(f(y)) ** 2).sum())(y)
        assert g.dtype == "float64"

    def test_what_nobody_asks_for_is_not_computed(self, monkeypatch):
        """By y alone a tall layer takes one solve, and no sum by the kernel."""
        from convinv.interop.jax import _host

        op, y, kernel = problem("tall")
        solved, _ = function(op, 0.0)
        monkeypatch.setattr(_host, "right_sides", lambda *a: pytest.fail("asked"))
        jax.grad(lambda y: (solved(y, kernel) ** 2).sum())(y)
        with pytest.raises(BaseException, match="asked"):
            jax.grad(lambda k: (solved(y, k) ** 2).sum())(kernel).block_until_ready()


class TestTransforms:
    @cases
    def test_jit(self, case):
        op, y, kernel = problem(case)
        solved, _ = function(op, 0.0)
        got, want = jax.jit(solved)(y, kernel), solved(y, kernel)
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11)
        loss = lambda *a: (solved(*a) ** 2).sum()  # noqa: E731
        plain = jax.grad(loss, (0, 1))(y, kernel)
        for a, b in zip(jax.jit(jax.grad(loss, (0, 1)))(y, kernel), plain):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)

    def test_vmap_is_one_solve(self, solves):
        op, y, kernel = problem("tall")
        solved, _ = function(op, 0.0)
        Y = jnp.stack([y, 2 * y, y + 1])
        want = jnp.stack([solved(part, kernel) for part in Y])
        solves.clear()
        for twice in (jax.vmap, lambda f, axes: jax.jit(jax.vmap(f, axes))):
            got = twice(solved, (0, None))(Y, kernel)
            np.testing.assert_allclose(got, want, atol=1e-11)
        assert solves == [6, 6]
        nested = jax.vmap(jax.vmap(solved, (0, None)), (1, None), out_axes=1)
        np.testing.assert_allclose(nested(Y, kernel), want, atol=1e-11)
        assert solves == [6, 6, 6]

    def test_vmap_over_kernels_and_damps(self):
        op, y, kernel = problem("tall")
        solved, _ = function(op, 0.3)
        kernels, damps = jnp.stack([kernel, -2 * kernel]), jnp.asarray([0.3, 0.5])
        got = jax.vmap(solved, (None, 0, 0))(y, kernels, damps)
        for i in range(2):
            want = solved(y, kernels[i], damps[i])
            np.testing.assert_allclose(got[i], want, atol=1e-11)

    @pytest.mark.parametrize("damp", [0.0, 0.3])
    @cases
    def test_gradients_of_each_item(self, case, damp):
        op, y, kernel = problem(case)
        solved, more = function(op, damp)
        places = (0, 1, 2)[: 2 + len(more)]
        loss = lambda y, *rest: (solved(y, *rest) ** 2).sum()  # noqa: E731
        each = jax.vmap(jax.grad(loss, places), (0, None, None)[: len(places)])
        got = each(y, kernel, *more)
        for i in range(len(y)):
            want = jax.grad(loss, places)(y[i], kernel, *more)
            for a, b in zip(got, want):
                np.testing.assert_allclose(a[i], b, rtol=1e-7, atol=1e-9)

    def test_large_arrays_in_compiled_functions(self):
        """A callback that waits for its own arrays would never come back."""
        rng = np.random.default_rng(0)
        kernel = rng.standard_normal((4, 1, 3, 3)).astype("f4")
        x = rng.random((2, 1, 200, 200)).astype("f4")
        step = jax.jit(jax.value_and_grad(
            lambda k: (conv_solve(conv_forward(x, kernel), k, x.shape[1:]) ** 2).mean()
        ))  # fmt: skip
        value, gradient = step(jnp.asarray(kernel))
        np.testing.assert_allclose(value, (x**2).mean(), rtol=1e-3)
        assert gradient.shape == kernel.shape


class TestArrays:
    def test_solve(self):
        op = layer(boundary="reflect")
        x = data(op, 3)
        b = jnp.asarray(op.forward(x))
        for result in (solve(op, b, rtol=1e-11), solve(op, b, "cgls", rtol=1e-11)):
            assert isinstance(result.x, jax.Array) and result.success
            np.testing.assert_allclose(result.x, x, atol=1e-8)
        seen = []
        solve(op, b, "cgls", callback=lambda state: seen.append(state.x))
        assert all(isinstance(x, jax.Array) for x in seen)

    def test_products_and_kernels(self):
        op = layer()
        x = data(op)
        same = ConvLinearOperator(jnp.asarray(op.kernel), op.input_shape, **op.options)
        y = same.forward(jnp.asarray(x))
        assert isinstance(y, jax.Array)
        np.testing.assert_array_equal(y, op.forward(x))
        assert isinstance(same.adjoint(y), jax.Array)
        assert isinstance(same @ jnp.asarray(x[0].ravel()), jax.Array)
        v = normal_solve(op, jnp.asarray(x), 0.5)
        np.testing.assert_allclose(v, normal_solve(op, x, 0.5))
        assert isinstance(v, jax.Array)

    def test_matrices(self):
        A = np.random.default_rng(0).standard_normal((5, 3))
        result = solve(jnp.asarray(A), jnp.asarray(A @ np.ones(3)))
        np.testing.assert_allclose(result.x, 1, atol=1e-5)

    def test_pictures(self):
        picture = np.random.default_rng(0).random((24, 24))
        psf = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 8
        found = imaging.deconvolve(
            jnp.asarray(picture), jnp.asarray(psf), strength=0.01
        )
        plain = imaging.deconvolve(picture, psf, strength=0.01)
        np.testing.assert_allclose(np.asarray(getattr(found, "x", found)),
                                   getattr(plain, "x", plain))  # fmt: skip

    def test_half_precision(self):
        op = layer(dtype="float32")
        b = jnp.asarray(op.forward(data(op))).astype("bfloat16")
        assert solve(op, b, damp=0.1).x.dtype == "bfloat16"

    @pytest.mark.parametrize("transform", ["jit", "grad", "vmap"])
    def test_traced_arrays_are_refused(self, transform):
        op = layer()
        b = jnp.asarray(data(op, 1, output=True))
        for call in (
            lambda b: solve(op, b).x.sum(),
            lambda b: op.adjoint(b).sum(),
            lambda b: ConvLinearOperator(b, op.input_shape).kernel.sum(),
        ):
            with pytest.raises(TypeError, match=r"traces .* convinv\.interop\.jax"):
                getattr(jax, transform)(call)(b)
