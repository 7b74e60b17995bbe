"""Shapes, dtypes and layouts of b and x0; arguments that are refused."""

import re

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from convinv import ConvLinearOperator, solve
from support.arrays import every_dtype, normal
from support.problems import (
    METHODS,
    VARIANTS,
    case,
    easy,
    every_method,
    is_solution,
    run,
    takes_products,
    variants,
)


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
            # items that start again do so after the others have ended
            assert result.extra["nit"].max() <= result.nit <= result.extra["nit"].sum()

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
        op = ConvLinearOperator(kernel, c.op.input_shape, **c.op.options)
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
