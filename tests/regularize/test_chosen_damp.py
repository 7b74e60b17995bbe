"""What damp is chosen: near the best, whatever the units and the form are."""

import functools

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

from convinv import ConvLinearOperator, solve
from support.damping_cases import (
    LAYERS,
    blur,
    chosen,
    data,
    decompose,
    every_hybrid,
    every_rule,
    normal,
    picture,
)


@functools.cache
def blurred(boundary):
    op = blur(boundary, (18, 18), 1.5)
    return op, np.linalg.svd(op.todense())


class TestWhatIsChosen:
    @pytest.mark.parametrize("boundary", ["periodic", "reflect", "zero"])
    @pytest.mark.parametrize("rule", ["gcv", "ncp", "discrepancy"])
    @pytest.mark.parametrize("noise", [0.005, 0.05])
    def test_a_blurred_image(self, boundary, noise, rule):
        """The error is not much above that of the best of all damps, on average."""
        op, (u, s, v) = blurred(boundary)
        image = picture(op.input_shape[1:])
        ratios = []
        for seed in range(5):
            rng = np.random.default_rng(seed)
            b = op.forward(image) + noise * normal(rng, op.output_shape)
            parts = u.T @ b.ravel()

            def error(damp):
                x = v.T @ (s / (s**2 + damp**2) * parts)  # noqa: B023
                return np.linalg.norm(x - image.ravel())

            damp = chosen(op, b, rule, noise).extra["damp"]
            ratios.append(error(damp) / min(map(error, np.geomspace(1e-3, 3, 60))))
        assert np.mean(ratios) <= 1.3

    @every_rule
    @pytest.mark.parametrize("name", ["blur", "blur on a torus", "complex border"])
    @pytest.mark.parametrize("powers", [(0, 300), (200, 0), (-200, 100)])
    def test_it_has_the_units_of_the_operator(self, name, rule, powers):
        op = LAYERS[name][0]()
        b, level = data(op, 0.1)
        one = chosen(op, b, rule, level).extra
        factor, scale = 2.0 ** powers[0], 2.0 ** powers[1]
        two = chosen(factor * op, scale * b, rule, scale * level).extra
        assert isinstance(factor * op, ConvLinearOperator)
        assert two["damp"] == pytest.approx(factor * one["damp"], rel=1e-5)
        for key, want in {
            "damp": factor,
            "residual_norm": scale,
            "solution_norm": scale / factor,
            "criterion": {"gcv": scale**2, "discrepancy": scale}.get(rule, 1),
        }.items():
            found = two["damp_path"][key] / want
            np.testing.assert_allclose(found, one["damp_path"][key], rtol=1e-4)

    @pytest.mark.parametrize("name", ["blur", "blur on a torus"])
    @every_rule
    def test_single_precision(self, name, rule):
        op = LAYERS[name][0]()
        b, level = data(op, 0.1)
        want = chosen(op, b, rule, level).extra["damp"]
        single = op.astype("float32"), b.astype("float32")
        result = chosen(*single, rule, level)
        assert result.x.dtype == "float32"
        assert result.extra["damp"] == pytest.approx(want, rel=1e-2)

    @pytest.mark.parametrize("name", ["blur", "blur on a torus"])
    @every_rule
    def test_complex_data_of_a_real_layer(self, name, rule):
        """They are two real problems, and one damp is for both."""
        op = LAYERS[name][0]()
        b, level = data(op, 0.1, batch=2)
        one = chosen(op, b, rule, level).extra["damp"]
        two = chosen(op, b[0] + 1j * b[1], rule, level * np.sqrt(2)).extra["damp"]
        assert two == pytest.approx(one, rel=1e-6)

    @every_rule
    @pytest.mark.parametrize("name", ["blur", "over, strided"])
    def test_a_batch_is_one_vector(self, name, rule):
        op = LAYERS[name][0]()
        b, level = data(op, 0.1)
        one = chosen(op, b, rule, level).extra
        many = chosen(op, np.stack([b, -b, b]), rule, level).extra
        assert many["damp"] == pytest.approx(one["damp"], rel=1e-6)
        assert isinstance(many["damp"], float)
        b = np.stack([b, np.zeros_like(b)])
        assert chosen(op, b, rule, level / np.sqrt(2)).extra["damp"] == pytest.approx(
            one["damp"], rel=2 if rule == "gcv" else 1e-6
        )

    @pytest.mark.parametrize("name", ["blur", "blur on a torus", "over"])
    @every_rule
    def test_the_solve_is_that_of_the_number(self, name, rule):
        op = LAYERS[name][0]()
        b, level = data(op, 0.1)
        level = level if rule == "discrepancy" else None
        got = solve(op, b, "cgls", damp=rule, noise_level=level, rtol=1e-10)
        want = solve(op, b, "cgls", damp=got.extra["damp"], rtol=1e-10)
        assert got.success and "damp" not in want.extra
        np.testing.assert_array_equal(got.x, want.x)

    @pytest.mark.parametrize("factor", [0.3, 0.9])
    @every_hybrid
    def test_the_residual_has_the_norm_of_the_noise(self, monkeypatch, factor, small):
        decompose(monkeypatch, small)
        for name in LAYERS:
            op = LAYERS[name][0]()
            b, _ = data(op, 0.1)
            level = factor * np.sqrt(np.mean(np.abs(b) ** 2))
            options = {"damp": "discrepancy", "noise_level": level, "rtol": 1e-9}
            result = solve(op, b, "lsqr", **options)
            wanted = level * np.sqrt(b.size)
            assert result.residual_norm == pytest.approx(wanted, rel=1e-2)

    @pytest.mark.parametrize("rule", ["discrepancy", "gcv", "lcurve"])
    @every_hybrid
    def test_any_operator(self, monkeypatch, small, rule):
        decompose(monkeypatch, small)
        op = LAYERS["blur"][0]()
        b, level = data(op, 0.1)
        want = chosen(op, b, rule, level).extra["damp"]
        A = op.todense()
        for other in (
            A,
            op.tosparse(),
            LinearOperator(
                A.shape, matvec=lambda v: A @ v, rmatvec=lambda v: A.T @ v, dtype=float
            ),
        ):
            got = chosen(other, b.ravel(), rule, level).extra["damp"]
            assert got == pytest.approx(want, rel=1e-6)
