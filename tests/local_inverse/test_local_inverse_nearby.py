"""Preconditioners of nearby layers: bounds, measurements, and their use in solve."""

import copy
import math
import pickle

import numpy as np
import pytest

from convinv import ConvLinearOperator, gallery, solve
from convinv.local_inverse import (
    Contraction,
    NearbyPreconditioner,
    contraction,
    kernel_distance,
)
from convinv.local_inverse._ritz import slack
from convinv.precondition import Circulant, Jacobi, Preconditioner, Schwarz
from support.arrays import BOUNDARIES

KERNEL = gallery.conv_layer(3, 8, rng=0)
CHANGE = np.random.default_rng(0).standard_normal(KERNEL.shape)
SHAPE = (3, 9, 8)


def layer(part=0.0, kind="float64", **options):
    kernel = KERNEL + part * CHANGE
    if kind == "complex128":
        kernel = kernel + 0.5j * KERNEL[:, ::-1] + part * 1j * CHANGE
    return ConvLinearOperator(kernel.astype(kind), SHAPE, **options)


def square(part=0.0):
    """A Hermitian positive definite blur, and ones near it."""
    kernel = np.zeros((1, 1, 3, 3))
    kernel[0, 0, 1] = kernel[0, 0, :, 1] = -0.2
    kernel[0, 0, 1, 1] = 1 + part
    kernel[0, 0, ::2, ::2] = -0.03 * part
    return ConvLinearOperator(kernel, (1, 9, 8), padding=1)


def true_contraction(prepared, op):
    """From dense matrices."""
    M = np.asarray(prepared @ np.eye(prepared.shape[0], dtype=prepared.dtype))
    A = op.todense()
    N = A
    if prepared.equations == "normal":
        N = A.conj().T @ A + prepared.damp**2 * np.eye(len(M))
    return np.abs(1 - np.linalg.eigvals(M @ N)).max()


# The distance


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(
    "options",
    [
        {"padding": 1},
        {"padding": 2},
        {"stride": 2, "padding": 1},
        {"dilation": 2, "padding": 2},
        {"padding": ((2, 0), (1, 2)), "flip": True},
    ],
    ids=str,
)
def test_the_distance_bounds_the_norm(boundary, options):
    ops = [layer(part, boundary=boundary, **options) for part in (0.0, 0.1)]
    bound = kernel_distance(*ops)
    norm = np.linalg.norm(ops[0].todense() - ops[1].todense(), 2)
    assert norm <= bound <= 4 * norm
    if boundary == "zero" and options == {"padding": 1}:
        assert bound <= 1.2 * norm


@pytest.mark.parametrize(
    ("kernel", "shape", "groups"),
    [((4, 1, 5), (2, 30), 2), ((2, 2, 2, 2, 3), (2, 6, 6, 6), 1), ((1, 1, 7, 4),
     (1, 14, 15), 1), ((3, 2, 1), (2, 5), 1)],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["float32", "float64", "complex128"])
def test_distances_of_other_layers(kernel, shape, groups, kind):
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((2, *kernel))
    if kind == "complex128":
        weights = weights + 1j * rng.standard_normal((2, *kernel))
    ops = [ConvLinearOperator(w.astype(kind), shape, groups=groups) for w in weights]
    norm = np.linalg.norm(ops[0].todense() - ops[1].todense(), 2)
    assert norm * (1 - 1e-6) <= kernel_distance(*ops) <= 2 * norm


def test_the_distance_is_sharp_on_a_torus():
    """A kernel of ones has its largest symbol at frequency 0, one of the samples."""
    ops = [
        ConvLinearOperator(c * np.ones((1, 1, 3)), (1, 32), padding=1,
                           boundary="periodic")
        for c in (1.0, 1.5)
    ]  # fmt: skip
    exact = np.linalg.norm(ops[0].todense() - ops[1].todense(), 2)
    assert exact == pytest.approx(1.5)
    assert exact <= kernel_distance(*ops) <= exact / math.cos(math.pi / 16) + 1e-9


# The contraction


@pytest.mark.parametrize("cls", [Schwarz, Circulant, Jacobi])
@pytest.mark.parametrize("damp", [0.0, 0.5])
@pytest.mark.parametrize("kind", ["float64", "complex128"])
def test_the_truth_is_between_the_measured_and_the_bound(cls, damp, kind):
    prepared = cls(layer(kind=kind), damp)
    near = NearbyPreconditioner(prepared, rng=0)
    for part in (0.0, 1e-4, 1e-3, 1e-2):
        op = layer(part, kind)
        truth = true_contraction(prepared, op)
        found = near.contraction(op, steps=4)
        assert found.measured <= truth * (1 + 1e-9) + 1e-12
        assert truth <= found.bound
        many = near.contraction(op, steps=80)
        assert many.measured == pytest.approx(truth, rel=0.02, abs=1e-10)


def test_hermitian_equations():
    prepared = Schwarz(square(), equations="hermitian")
    near = NearbyPreconditioner(prepared, rng=0)
    for part in (0.0, 1e-3, 1e-2, 0.1):
        op = square(part)
        truth, found = true_contraction(prepared, op), near.contraction(op, steps=30)
        assert found.measured <= truth * (1 + 1e-9) + 1e-12 <= found.bound + 2e-12
        assert found.measured == pytest.approx(truth, rel=0.05, abs=1e-11)
        result = solve(op, np.ones(op.shape[0]), "cg", preconditioner=near, rtol=1e-9)
        assert result.success and result.nit <= found.iterations(1e-9) + 2


def test_the_bound_follows_from_its_constants():
    """Weyl's inequality for the eigenvalues of M^(1/2) N M^(1/2)."""
    near = NearbyPreconditioner(Schwarz(layer()), rng=0)
    norm, rho = near.constants
    M = np.asarray(near @ np.eye(near.shape[0]))
    true = np.linalg.norm(M, 2)
    assert true <= norm <= 3 * true
    found = near.contraction(layer(1e-3))
    t = found.distance * norm**0.5
    assert found.bound == pytest.approx(rho + 2 * t * (1 + rho) ** 0.5 + t * t)
    assert found.measured is None and found.value == found.bound


@pytest.mark.parametrize("seed", range(20))
def test_constants_hold_from_any_start(seed):
    """Estimates that may fail with a probability of 0.001, from bad and good starts."""
    prepared = Circulant(layer(), 0.3)
    near = NearbyPreconditioner(prepared, rng=seed)
    norm, rho = near.constants
    M = np.asarray(prepared @ np.eye(prepared.shape[0]))
    assert np.linalg.norm(M, 2) <= norm
    assert true_contraction(prepared, prepared.op) <= rho


def test_the_allowance_covers_what_lanczos_misses():
    """On a spectrum that is as bad as it gets: one eigenvalue above a dense rest."""
    n, steps = 500, 10
    values = np.append(np.linspace(0, 1 - 1e-3, n - 1), 1.0)
    allowed = slack(steps, n, 1.0, 1e-2)
    assert 0 < allowed < 0.7
    missed = []
    for seed in range(200):
        basis = np.random.default_rng(seed).standard_normal((n, 1))
        for _ in range(steps - 1):
            basis = np.hstack([basis, values[:, None] * basis[:, -1:]])
            basis = np.linalg.qr(basis)[0]
        top = np.linalg.eigvalsh(basis.T @ (values[:, None] * basis))[-1]
        missed.append(1 - top)
    assert np.mean(np.array(missed) > allowed) <= 1e-2


def test_more_steps_allow_for_less():
    found = [slack(steps, 10_000, 10.0, 1e-3) for steps in (1, 5, 12, 30, 100)]
    assert found[0] == 1.0 and found == sorted(found, reverse=True) and found[-1] < 0.02


def test_iterations():
    assert Contraction(0.0, 0.0).iterations() == 1
    assert Contraction(0.0, 1.0).iterations() == math.inf
    found = Contraction(0.1, 0.9, 0.5)
    rate = (math.sqrt(3) - 1) / (math.sqrt(3) + 1)  # condition 1.5 / 0.5
    steps = found.iterations(1e-6)
    assert 2 * rate**steps <= 1e-6 < 2 * rate ** (steps - 1)
    assert found.certain and not found.renew() and found.renew(0.4)
    assert Contraction(1.0, math.inf, math.nan).renew()
    assert "still serves" in str(found) and "renew" in str(Contraction(1.0, 2.0))


# In solve


@pytest.mark.parametrize("method", ["cgls", "lsqr", "lsmr"])
def test_solutions_do_not_depend_on_it(method):
    near = NearbyPreconditioner(Schwarz(layer()))
    op = layer(1e-3)
    x = np.random.default_rng(2).random((2, *SHAPE))
    b = op.forward(x)
    result = solve(op, b, method, preconditioner=near, rtol=1e-10)
    assert result.success and result.nit <= 8
    np.testing.assert_allclose(result.x, x, atol=1e-7)


def test_iterations_are_what_the_contraction_says():
    near = NearbyPreconditioner(Schwarz(layer()), rng=0)
    for part in (1e-4, 1e-3, 1e-2):
        op = layer(part)
        b = op.forward(np.random.default_rng(2).random(SHAPE))
        found = near.contraction(op, steps=30)
        result = solve(op, b, "cgls", preconditioner=near, rtol=1e-8)
        # the residual's tolerance against the error's: a factor of the condition
        assert result.success and result.nit <= found.iterations(1e-9) + 1


def test_a_damp_makes_no_new_set_up(monkeypatch):
    """Preconditioner objects are used as they are, whatever the damp."""
    prepared = Schwarz(layer())
    made, real = [], Schwarz._make
    monkeypatch.setattr(Schwarz, "_make", lambda *given: made.append(1) or real(*given))
    op = layer(1e-3)
    b = np.ones(op.output_shape)
    call = {"method": "cgls", "damp": 0.05, "rtol": 1e-8}
    result = solve(op, b, preconditioner=NearbyPreconditioner(prepared), **call)
    assert result.success and not made
    again = solve(op, b, preconditioner=prepared, **call)
    assert not made
    np.testing.assert_allclose(result.x, again.x, atol=1e-6 * np.abs(again.x).max())


def test_a_drifting_kernel():
    """Renewed when it has to be, and not before."""
    near = NearbyPreconditioner(Schwarz(layer()), rng=0)
    used, steps = [], []
    for time in range(1, 13):
        op = layer(2e-3 * time)
        near = near.renewed(op, limit=0.4)
        used.append(near)
        b = np.ones(op.output_shape)
        steps.append(solve(op, b, "cgls", preconditioner=near, rtol=1e-6).nit)
    kinds = len({id(one) for one in used})
    assert 1 < kinds < 8 and used[0] is used[1] and max(steps) <= 14
    assert near.prepared.op.geometry == op.geometry


def test_renewal_keeps_options():
    prepared = Schwarz(layer(), 0.2, depth=5)
    near = NearbyPreconditioner(prepared, steps=7)
    assert near.renewed(layer()) is near
    fresh = near.renewed(layer(0.3), limit=0.1)
    assert fresh is not near and fresh.steps == 7
    assert (fresh.prepared.damp, fresh.prepared.depth) == (0.2, 5)
    near = NearbyPreconditioner(prepared)
    near.constants
    calls = []
    near.contraction = lambda *a, **k: calls.append(1)
    assert near.renewed(layer(1e-6)) is near and not calls  # the bound is enough


def test_copies():
    near = NearbyPreconditioner(Circulant(layer(), 0.3), rng=0)
    near.constants
    v = np.random.default_rng(0).standard_normal(near.shape[0])
    for other in (copy.deepcopy(near), pickle.loads(pickle.dumps(near))):
        np.testing.assert_allclose(other @ v, near @ v, rtol=1e-12)
        assert other.constants == near.constants
    np.testing.assert_allclose(near.H @ v, near @ v)


def test_at_one_call():
    prepared, op = Schwarz(layer()), layer(1e-3)
    found = contraction(prepared, op, rng=0)
    assert 0 < found.measured <= true_contraction(prepared, op) <= found.bound
    near = NearbyPreconditioner(prepared, steps=2)  # too few for any certainty
    assert near.constants == (math.inf, math.inf)
    assert near.contraction(op).bound == math.inf
    quick = contraction(prepared, op, bound=False, rng=0)
    assert quick.bound == math.inf and 0 < quick.measured <= 1


class Other(Preconditioner):
    def apply(self, v):
        return v


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: NearbyPreconditioner("schwarz"), TypeError, "prepared must be an"),
        (lambda: NearbyPreconditioner(Circulant(square(), equations="plain")),
         ValueError, "got 'plain'"),
        (lambda: NearbyPreconditioner(Other(ConvLinearOperator(
            np.ones((1, 3, 3, 3)), SHAPE))), ValueError, "wide"),
        (lambda: kernel_distance(layer(), np.eye(2)), TypeError, "ConvLinearOperator"),
        (lambda: kernel_distance(layer(), layer(padding=1)), ValueError, "geometry"),
        (lambda: NearbyPreconditioner(Other(layer())).contraction(layer(), steps=-1),
         ValueError, "steps must be at least 0"),
        (lambda: NearbyPreconditioner(Other(layer()), steps=1.5), TypeError, "steps"),
    ],
)  # fmt: skip
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
