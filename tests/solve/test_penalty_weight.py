"""The weight of a penalty that a rule chooses, against dense matrices."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from convinv import ConvLinearOperator, gallery, solve
from convinv._regularize import by_solves, penalty_spectrum
from convinv._regularize.data_spectrum import Periodogram
from convinv._solve import weight_rule
from support.arrays import random
from support.penalties import dense, penalty

NOISE = 0.02
RULES = ["discrepancy", "gcv", "ncp"]
SOLVED = ["zero", "valid"]  # boundaries without a common transform
every_rule = pytest.mark.parametrize("rule", RULES)
IMAGE = gallery.image("camera", 14)


def blur(boundary, channels=1):
    kernel = gallery.gaussian_kernel(5, 1.0)[None, None]
    options = {"padding": "same", "boundary": boundary}
    options = {} if boundary == "valid" else options
    shape = (channels, *IMAGE.shape[1:])
    return ConvLinearOperator(
        np.tile(kernel, (channels, 1, 1, 1)), shape, groups=channels, **options
    )


def data(op):
    image = np.broadcast_to(IMAGE, op.input_shape)
    noise = NOISE * np.random.default_rng(1).standard_normal(op.output_shape)
    return op.forward(image) + noise


def level(rule):
    return NOISE if rule == "discrepancy" else None


class Dense:
    """The criteria by dense matrices."""

    def __init__(self, op, b, L):
        self.A, self.L, self.b = dense(op), L, b.ravel()
        self.periodogram = Periodogram(op.output_shape)

    def __call__(self, rule, damp):
        normal = self.A.T @ self.A + damp**2 * self.L.T @ self.L
        hat = self.A @ np.linalg.solve(normal, self.A.T)
        r = self.b - hat @ self.b
        if rule == "gcv":
            return r @ r / (r.size - np.trace(hat)) ** 2
        if rule == "discrepancy":
            return abs(np.linalg.norm(r) - NOISE * np.sqrt(r.size))
        power = np.cumsum(self.periodogram.power(r[None]))
        white = np.cumsum(self.periodogram.share)
        apart = power / power[-1] - white / white[-1]
        return np.average(apart**2, weights=self.periodogram.share)

    def best(self, rule):
        damps = np.geomspace(1e-2, 2, 120)
        return damps[np.argmin([self(rule, damp) for damp in damps])]


@every_rule
@pytest.mark.parametrize("boundary", ["symmetric", "periodic", *SOLVED])
@pytest.mark.parametrize("regularizer", ["gradient", "laplacian"])
def test_the_best_damp(rule, boundary, regularizer):
    """From a spectrum, or for ncp of other boundaries from a few solves."""
    op = blur(boundary)
    b = data(op)
    found = solve(op, b, damp=rule, regularizer=regularizer, noise_level=level(rule))
    best = Dense(op, b, dense(penalty(regularizer, op))).best(rule)
    # ncp takes solves, or shells of the Fourier transform
    near = 0.3 if rule == "ncp" and boundary != "symmetric" else 0.06
    assert found.extra["damp"] == pytest.approx(best, rel=near)
    assert found.success


@pytest.mark.parametrize(
    ("rule", "boundary"),
    [("gcv", "zero"), *((r, b) for r in ("discrepancy", "ncp") for b in SOLVED)],
)
def test_by_solves(rule, boundary, monkeypatch):
    """Few of them, near what dense matrices give."""
    monkeypatch.setattr(penalty_spectrum, "DENSE", 0)
    op = blur(boundary)
    b = data(op)
    found = solve(op, b, damp=rule, regularizer="gradient", noise_level=level(rule))
    exact = Dense(op, b, dense(penalty("gradient", op)))
    if rule == "gcv":  # a flat function, whose trace is that of a torus
        assert exact(rule, found.extra["damp"]) < 1.05 * exact(rule, exact.best(rule))
    else:
        assert found.extra["damp"] == pytest.approx(exact.best(rule), rel=0.3)
    path = found.extra["damp_path"]
    assert len(path["damp"]) <= by_solves.MOST + 1
    assert np.all(np.diff(path["damp"]) > 0)
    assert np.all(np.diff(path["residual_norm"]) >= 0)
    assert np.all(np.diff(path["solution_norm"]) <= 0)
    at = np.flatnonzero(path["damp"] == found.extra["damp"])[0]
    seen = found.extra["penalty_norm"]
    assert path["residual_norm"][at] == pytest.approx(found.residual_norm, rel=0.05)
    assert path["solution_norm"][at] == pytest.approx(seen, rel=0.1)


@pytest.mark.parametrize("boundary", ["symmetric", "valid"])
def test_the_corner_of_the_l_curve(boundary, monkeypatch):
    monkeypatch.setattr(penalty_spectrum, "DENSE", 0)
    op = blur(boundary)
    b = data(op)
    found = solve(op, b, damp="lcurve", regularizer="gradient").extra
    near = Dense(op, b, dense(penalty("gradient", op))).best("gcv")
    assert near / 4 < found["damp"] < 4 * near
    assert found["damp_path"]["criterion"].max() > 0


@every_rule
def test_channels_that_are_coupled(rule):
    kernel = random((3, 2, 3, 3)) / 5
    op = ConvLinearOperator(kernel, (2, 9, 8), padding="same", boundary="periodic")
    x = np.cumsum(random((2, 9, 8), seed=4), axis=2) / 4
    b = op.forward(x) + NOISE * random(op.output_shape, seed=5)
    found = solve(op, b, damp=rule, regularizer="gradient", noise_level=level(rule))
    exact = Dense(op, b, dense(penalty("gradient", op)))
    if rule == "ncp":  # in shells of the Fourier transform, not the cosine transform
        assert found.success
        return
    least = exact(rule, exact.best(rule))
    assert exact(rule, found.extra["damp"]) <= 1.01 * least + 1e-4


@pytest.mark.parametrize("regularizer", ["gradient", None])
def test_masks_and_weights(regularizer):
    """The residual of what counts has the size of the noise."""
    op = blur("valid")
    b = data(op)
    mask = np.random.default_rng(2).random(b.shape) < 0.8
    weights = np.where(mask, 4.0, 0.0)
    for given in ({"mask": mask}, {"weights": weights}):
        unit = 2.0 if "weights" in given else 1.0
        found = solve(
            op, np.where(mask, b, np.nan), damp="discrepancy",
            noise_level=unit * NOISE, regularizer=regularizer, **given,
        )  # fmt: skip
        want = unit * NOISE * np.sqrt(mask.sum())
        assert found.residual_norm == pytest.approx(want, rel=0.02)


@every_rule
def test_units(rule):
    op = blur("valid")
    b = data(op)
    options = {"damp": rule, "regularizer": "gradient"}
    plain = solve(op, b, noise_level=level(rule), **options)
    large = ConvLinearOperator(1e-30 * op.kernel, op.input_shape)
    noise = None if level(rule) is None else 1e30 * NOISE
    found = solve(large, 1e30 * b, noise_level=noise, **options)
    assert found.extra["damp"] == pytest.approx(1e-30 * plain.extra["damp"], rel=1e-3)


@every_rule
def test_damping_of_x_by_solves(rule, monkeypatch):
    """Large layers without a closed form take solves in place of projections."""
    op = ConvLinearOperator(random((2, 1, 3, 3)) / 3, IMAGE.shape)
    b = data(op)
    expected = solve(op, b, damp=rule, noise_level=level(rule)).extra["damp"]
    monkeypatch.setattr(weight_rule, "LARGE", 0)
    found = solve(op, b, damp=rule, noise_level=level(rule)).extra
    assert len(found["damp_path"]["damp"]) <= by_solves.MOST + 1
    exact = Dense(op, b, np.eye(op.shape[1]))
    reached = exact(rule, found["damp"])
    assert reached <= exact(rule, expected) * 1.1 + (0.02 if rule != "gcv" else 0)


def test_zero_data():
    op = blur("valid")
    found = solve(op, np.zeros(op.output_shape), damp="gcv", regularizer="gradient")
    assert found.success and not found.x.any()


def test_rules_that_need_more():
    A = np.random.default_rng(3).standard_normal((30, 12))
    L = np.diff(np.eye(12), axis=0)
    b = A @ np.ones(12) + 0.1 * np.random.default_rng(4).standard_normal(30)
    found = solve(A, b, damp="gcv", regularizer=csr_array(L))
    exact = [_gcv(A, L, b, d) for d in (found.extra["damp"], 0.1, 1.0, 10.0)]
    assert exact[0] == min(exact)
    with pytest.raises(TypeError, match="residual as an image"):
        solve(A, b, damp="ncp", regularizer=csr_array(L))


def _gcv(A, L, b, damp):
    hat = A @ np.linalg.solve(A.T @ A + damp**2 * L.T @ L, A.T)
    r = b - hat @ b
    return r @ r / (r.size - np.trace(hat)) ** 2
