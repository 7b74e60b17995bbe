"""The damp from a bidiagonal factor is that from the whole decomposition."""

import numpy as np
import pytest

from convinv._regularize import hybrid_lsqr as krylov
from support.damping_cases import (
    LAYERS,
    blur,
    chosen,
    data,
    decompose,
    every_rule,
    normal,
    picture,
)


@every_rule
@pytest.mark.parametrize("name", [name for name in LAYERS if not LAYERS[name][1]])
@pytest.mark.parametrize("noise", [0.3, 0.03])
def test_hybrid_finds_the_dense_damp(monkeypatch, name, noise, rule):
    op = LAYERS[name][0]()
    b, level = data(op, noise)
    want = chosen(op, b, rule, level).extra["damp"]
    decompose(monkeypatch, 0)
    got = chosen(op, b, rule, level).extra["damp"]
    # a criterion that is flat at small damps may take any of them
    assert got == pytest.approx(want, rel=0.05, abs=1e-3)


@every_rule
def test_hybrid_of_a_batch(monkeypatch, rule):
    op = blur("symmetric")
    b, level = data(op, 0.1, batch=3)
    b *= np.array([1, 0, 0.5]).reshape(3, 1, 1, 1)
    want = chosen(op, b, rule, level).extra
    decompose(monkeypatch, 0)
    got = chosen(op, b, rule, level).extra
    assert got["damp"] == pytest.approx(want["damp"], rel=0.03)
    assert got["nit"].shape == (3,)


@every_rule
def test_hybrid_stops_before_the_end(monkeypatch, rule):
    """The damp settles in fewer steps than there are unknowns."""
    op = blur("reflect", (24, 25), 1.5)
    image = picture(op.input_shape[1:])
    b = op.forward(image) + 0.02 * normal(np.random.default_rng(0), op.output_shape)
    decompose(monkeypatch, 1000)
    want = chosen(op, b, rule, 0.02).extra["damp"]
    looked = []
    extend = krylov.Basis.extend
    decompose(monkeypatch, 0)
    monkeypatch.setattr(
        krylov.Basis, "extend", lambda s, k: looked.append(k) or extend(s, k)
    )
    got = chosen(op, b, rule, 0.02)
    assert "settled" not in got.message
    assert got.extra["damp"] == pytest.approx(want, rel=0.05)
    assert looked == sorted(looked) and looked[-1] < 200 < min(op.shape)


def test_the_trace_is_estimated(monkeypatch):
    """Random signs see the trace of the hat matrix within their standard error."""
    op = blur("reflect", (20, 20))
    b, _ = data(op, 0.1)
    basis = krylov.Basis(op, b.reshape(1, -1), "gcv", 1e-16)
    basis.extend(100)
    spectrum = basis.spectrum()
    A = op.todense()
    probes = -(-krylov.PROBE_DATA // 400)
    for damp in (0.03, 0.3, 3.0):
        hat = A @ np.linalg.solve(A.T @ A + damp**2 * np.eye(400), A.T)
        spread = np.sqrt(2 * (np.sum(hat**2) - np.sum(np.diag(hat) ** 2)) / probes)
        assert abs(spectrum.freedom(damp) - 400 + np.trace(hat)) <= 4 * spread
    assert spread > 0


@pytest.mark.parametrize("steps", [3, 8, 20])
def test_decomposition_of_bidiagonal_matrices(steps):
    rng = np.random.default_rng(0)
    alphas, betas = rng.random((3, steps)) + 0.1, rng.random((3, steps)) + 0.1
    alphas[1, 2:] = betas[1, 2:] = 0  # a Krylov space that is complete
    betas[2, 1:] = alphas[2, 2:] = 0
    values, left = krylov._decomposed(alphas, betas)
    for i in range(3):
        B = np.zeros((steps + 1, steps))
        B[np.arange(steps), np.arange(steps)] = alphas[i]
        B[np.arange(steps) + 1, np.arange(steps)] = betas[i]
        for damp in (1e-2, 1.0):
            passed = damp**2 / (values[i] ** 2 + damp**2)
            want = np.linalg.inv(np.eye(steps + 1) + B @ B.T / damp**2)
            got = (left[i] * passed) @ left[i].T
            np.testing.assert_allclose(got, want, atol=1e-10)
