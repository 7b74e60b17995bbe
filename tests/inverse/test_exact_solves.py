"""Exact inverses in `solve`, on layers where their shortcuts might fail."""

import functools
import gc
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest

from convinv import ConvergenceWarning, ConvLinearOperator, Status, solve
from convinv._core.errors import MemoryLimit, Singular
from convinv._planning.ways import Plan
from support.arrays import random
from support.layers import layer, matrix


def error(x, expected):
    return np.linalg.norm(np.ravel(x) - np.ravel(expected)) / np.linalg.norm(expected)


@pytest.mark.parametrize("method", ["direct", "schwarz"])
def test_dilation(method):
    op = layer((8, 3, 3, 3), (3, 64, 64), dilation=2)
    x = random(op.input_shape, seed=1)
    result = solve(op, op.forward(x), method, rtol=1e-10)
    assert result.success and error(result.x, x) <= 1e-9


def test_dilation_of_one_axis():
    op = layer((2, 2, 3, 4), (2, 47, 40), dilation=(2, 1))
    b = op.forward(np.ones(op.input_shape))
    result = solve(op, b, damp=0.01, rtol=1e-9)
    A = matrix(op)
    expected = np.linalg.solve(A.T @ A + 1e-4 * np.eye(A.shape[1]), A.T @ b.ravel())
    assert result.success and result.method == "direct" and result.nit < 10
    assert error(result.x, expected) <= 1e-6


SQUARE = {  # seed and channels of square layers, whose condition numbers are large
    "3 channels": (0, 3, 20),
    "4 channels": (0, 4, 20),
    "2 channels": (7, 2, 26),
}


@pytest.mark.parametrize("method", ["auto", "direct", "schwarz"])
@pytest.mark.parametrize("name", SQUARE)
def test_single_precision_data_of_ill_conditioned_layers(name, method):
    """What is lost is what storing b and x in single precision loses."""
    seed, c, n = SQUARE[name]
    rng = np.random.default_rng(seed)
    kernel = (rng.uniform(-1, 1, (c, c, 3, 3)) / np.sqrt(9 * c)).astype("float32")
    op = ConvLinearOperator(kernel, (c, n, n), padding=1)
    x = rng.random(op.input_shape, dtype="float32")
    b = op.forward(x)
    A = matrix(op)
    expected = np.linalg.solve(A, b.ravel().astype(float))
    result = solve(op, b, method)
    assert result.success and result.x.dtype == "float32"
    assert error(result.x, expected) <= 5e-6
    least = np.linalg.svd(A, compute_uv=False)[-1]
    found = result.extra["smallest_singular_value"]
    assert 0.99 * least <= found <= 1.5 * least


@pytest.mark.parametrize(("damp", "start"), [(0.0, False), (0.02, False), (0.02, True)])
@pytest.mark.parametrize("method", ["direct", "schwarz"])
def test_single_precision_with_damp_and_starts(method, damp, start):
    kernel = random((3, 2, 2, 2), "float32")
    kernel[2] = kernel[0] * 1.001
    for shape in ((2, 2, 2, 2), (3, 2, 2, 2), (2, 3, 2, 2)):
        part = kernel.transpose(1, 0, 2, 3) if shape[0] < shape[1] else kernel
        part = part[: shape[0], : shape[1]]
        pad = int(shape[0] >= shape[1])  # full rank needs it, or none
        op = ConvLinearOperator(part, (shape[1], 18, 17), padding=pad)
        b = random(op.output_shape, "float32", 4)
        x0 = random(op.input_shape, "float32", 5) if start else None
        result = solve(op, b, method, damp=damp, x0=x0)
        wide = solve(op.astype("float64"), b, method, damp=damp, x0=x0, rtol=1e-12)
        assert result.success
        assert error(result.x, wide.x) <= 1e-5


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_condition_notes_are_in_the_units_of_the_user(scale):
    op = layer((6, 2, 3, 3), (2, 14, 13))
    op = ConvLinearOperator(scale * op.kernel, op.input_shape)
    values = np.linalg.svd(matrix(op) / scale, compute_uv=False)
    extra = solve(op, random(op.output_shape), "direct").extra
    least = extra["smallest_singular_value"] / scale
    assert 0.999 * values[-1] <= least <= 2 * values[-1]
    truth = (values[-1] / values[0]) ** 2
    assert 0.1 * truth <= extra["rcond"] <= 100 * truth


@pytest.mark.parametrize("method", ["direct", "schwarz", "spectral", "cgls"])
def test_operators_are_freed_with_what_they_keep(method):
    options = {"preconditioner": "schwarz"} if method == "cgls" else {}
    boundary = "periodic" if method == "spectral" else "zero"
    op = layer((4, 2, 3, 3), (2, 12, 12), padding=1, boundary=boundary)
    gc.disable()
    try:
        solve(op, random(op.output_shape), method, **options)
        alive = weakref.ref(op)
        del op
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("name", ["laplacian", "two filters", "difference"])
def test_auto_on_layers_that_are_singular_on_a_torus(name, adjoint, monkeypatch):
    """And regular with their own boundary; where a factor is too large as well."""
    laplacian = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
    kernel = {
        "laplacian": laplacian[None, None],
        "two filters": np.stack([laplacian, laplacian.T + np.eye(3) - 1 / 3])[:, None],
        "difference": np.array([[0.0, 0, 0], [0, 1, -1], [0, 0, 0]])[None, None],
    }[name]
    op = ConvLinearOperator(kernel, (1, 60, 61), padding=1)
    op = op.H if adjoint else op
    monkeypatch.setattr("convinv.solvers.direct.BlockCholesky", too_singular)
    x = random(op.input_shape, seed=2)
    if op.shape[0] < op.shape[1]:
        x = op.adjoint(random(op.output_shape, seed=2))
    result = solve(op, op.forward(x), rtol=1e-10)
    assert result.success and error(result.x, x) <= 1e-5
    assert result.method in ("cg", "cgls", "spectral") and result.nit < 100


def too_singular(gram, axis, **options):
    raise Singular("the layer is rank-deficient: so a test says", [0])


def too_large(gram, axis, **options):
    raise MemoryLimit("the factor would be too large: so a test says")


@pytest.mark.parametrize("refusal", [too_large, too_singular])
@pytest.mark.parametrize("boundary", ["reflect", "symmetric"])
def test_auto_keeps_the_least_norm_of_singular_layers(boundary, refusal, monkeypatch):
    monkeypatch.setattr("convinv.solvers.direct.BlockCholesky", refusal)
    kernel = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    op = ConvLinearOperator(kernel, (1, 24, 25), padding=1, boundary=boundary)
    b = op.forward(random(op.input_shape))
    result = solve(op, b, rtol=1e-9)
    expected = np.linalg.pinv(matrix(op), rcond=1e-9) @ b.ravel()
    assert result.success and error(result.x, expected) <= 1e-5


UNSEEN = {  # layers that do not see some unknowns
    "samples left over": ((8, 2, 3, 3), (2, 40, 42), {"stride": 2}),
    "a channel": ((6, 3, 3, 3), (3, 30, 28), {}),
}


@functools.cache
def unseen(name):
    """A layer of `UNSEEN`, data, and the solution of least norm."""
    shape, input_shape, options = UNSEEN[name]
    kernel = random(shape, seed=5)
    if name == "a channel":
        kernel[:, 1] = 0
    op = ConvLinearOperator(kernel, input_shape, **options)
    b = random(op.output_shape, seed=6)
    return op, b, np.linalg.lstsq(matrix(op), b.ravel(), rcond=1e-11)[0]


@pytest.mark.parametrize("method", ["direct", "schwarz", "auto"])
@pytest.mark.parametrize("name", UNSEEN)
def test_unknowns_that_are_not_seen_are_zero(name, method):
    kept, b, expected = unseen(name)
    op = kept.with_kernel(kept.kernel)  # with no inverse of another method
    result = solve(op, b, method, rtol=1e-10)
    assert result.success and error(result.x, expected) <= 1e-7
    assert not np.any(result.x.ravel()[np.abs(expected) < 1e-12])
    scaled = op.with_kernel(1e-8 * op.kernel)
    result = solve(scaled, b, method, rtol=1e-10)
    assert result.success and error(1e-8 * result.x, expected) <= 1e-7
    x0 = random(op.input_shape, seed=7)
    damped = solve(op, b, method, damp=0.3, x0=x0, rtol=1e-10)
    expected = solve(op, b, "lsmr", damp=0.3, x0=x0, rtol=1e-12)
    assert damped.success and error(damped.x, expected.x) <= 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (4, 8, 3, 3)])
def test_singular_layers_take_iterated_regularization(shape, dtype):
    """Two channels that do the same share what one of them would have."""
    kernel = random(shape, dtype, seed=3)
    if shape[0] > shape[1]:
        kernel[:, 2] = kernel[:, 1]
    else:
        kernel[3] = kernel[1]
    op = ConvLinearOperator(kernel, (shape[1], 14, 15))
    b = op.forward(random((2, *op.input_shape), dtype, seed=4))
    cutoff = 1e-5 if dtype == "float32" else 1e-10
    inverse = np.linalg.pinv(matrix(op.astype(np.result_type(dtype, "f8"))), cutoff)
    expected = b.reshape(2, -1) @ inverse.T
    for rtol, bound in ((1e-6, 1e-5), (1e-10, 1e-7)):
        if dtype == "float32" and rtol < 1e-6:
            continue
        result = solve(op, b, "direct", rtol=rtol)
        assert result.success and "Tikhonov" in result.message
        assert error(result.x, expected) <= bound
    with pytest.warns(ConvergenceWarning):  # rank-deficient: no shift, no inverse
        assert not solve(op, b, "direct", shift=0.0).success


def test_accuracy():
    """A coarse inverse takes more applications; tolerance and answer stay."""
    op = layer((8, 3, 3, 3), (3, 60, 62))
    x = random((2, *op.input_shape), seed=2)
    counts = []
    for accuracy in (1e-2, 1e-4, 1e-6):
        for method in ("direct", "schwarz"):
            result = solve(op, op.forward(x), method, rtol=1e-9, accuracy=accuracy)
            assert result.success and error(result.x, x) <= 1e-7
        counts.append(result.nit)
    assert counts[0] > counts[1] > counts[2]
    for bad, refusal in ((0.0, ValueError), ("fine", TypeError), (True, TypeError)):
        with pytest.raises(refusal, match="accuracy"):
            solve(op, op.forward(x), "direct", accuracy=bad)
        with pytest.raises(refusal, match="accuracy"):
            solve(op, op.forward(x), "schwarz", depth=8, accuracy=bad)
    for bad, refusal in ((-1.0, ValueError), (np.nan, ValueError), ("1", TypeError)):
        with pytest.raises(refusal, match="shift"):
            solve(op, op.forward(x), "direct", shift=bad)


@pytest.mark.parametrize("method", ["direct", "schwarz"])
def test_callbacks_are_heard_in_set_ups(method, monkeypatch):
    monkeypatch.setattr("convinv._solve.restarts.SILENCE", 0.0)
    op = layer((4, 2, 3, 3), (2, 24, 25))
    b, x0 = random(op.output_shape), random(op.input_shape, seed=8)
    seen = []

    def callback(state):
        seen.append((state.nit, np.array(state.x), state.residual_norm))
        return len(seen) == 3

    result = solve(op, b, method, callback=callback, x0=x0)
    assert result.status is Status.STOPPED and len(seen) == 3 and result.nit == 0
    np.testing.assert_allclose(result.x, x0)
    np.testing.assert_allclose([s[1] for s in seen], [x0] * 3)
    assert seen[0][2] == pytest.approx(np.linalg.norm(b - op.forward(x0)))


def test_what_iterations_have_found_survives_a_set_up(monkeypatch):
    """That of an inverse which was to take over, and was stopped."""
    monkeypatch.setattr("convinv._solve.restarts.SILENCE", 0.0)
    monkeypatch.setattr(Plan, "condition", 1.5)
    monkeypatch.setattr("convinv._planning.ways.SPENT", 1e9)
    kernel = random((4, 2, 3, 3))
    kernel[:, 1] = kernel[:, 0] + 0.03 * kernel[:, 1]
    op = ConvLinearOperator(kernel, (2, 90, 90))
    norms = []

    def callback(state):
        again = state.nit > 5 and state.nit == norms[-1][0]
        norms.append((state.nit, state.residual_norm))
        return again  # without an iteration: a set-up

    b = op.forward(random(op.input_shape))
    result = solve(op, b, rtol=1e-10, callback=callback)
    assert result.status is Status.STOPPED and result.nit == norms[-1][0] > 5
    assert result.residual_norm < 0.5 * np.linalg.norm(b)


PLANNING = """
import resource
import numpy as np
from convinv import ConvLinearOperator, gallery, solve
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
psf = gallery.gaussian_kernel(65, 8.0)[None, None]
small = ConvLinearOperator(psf[..., 24:41, 24:41], (1, 64, 64), padding="same")
solve(small, small.forward(np.ones((1, 64, 64))), damp=0.1, maxiter=2)
op = ConvLinearOperator(psf, (1, 512, 512), padding="same", boundary="{boundary}")
b = op.forward(np.random.default_rng(0).random((1, 512, 512)))
before = peak()
solve(op, b, damp=0.1, callback=lambda state: True)
print((peak() - before) / 1024)
"""


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_planning_takes_little_memory(boundary):
    """For a large kernel, in a process of its own, up to the first iteration."""
    code = PLANNING.replace("{boundary}", boundary)
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 200
