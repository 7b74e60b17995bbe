"""One small operator of every kind, on arrays of one shape, with its matrix.

The matrices are written from the definitions, without the operators' own products.
"""

import math

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from convinv import ConvLinearOperator
from convinv.operators import (
    DiagonalOperator,
    DifferenceOperator,
    FourierSampling,
    LaplacianOperator,
    MaskOperator,
    Radon,
    StackedOperator,
)
from convinv.operators._foreign import as_operator

from .arrays import normal
from .operator_layers import dense

SHAPE = (2, 3, 4)
SIZE = math.prod(SHAPE)
MASK = np.random.default_rng(30).random(SHAPE) < 0.6


def columns(function, shape=SHAPE):
    """The matrix of a function of arrays, one column after the other."""
    units = np.eye(math.prod(shape)).reshape(-1, *shape)
    return np.stack([np.ravel(function(unit)) for unit in units], axis=1)


def differences(x, axes, mode):
    """Forward differences of every channel, those of all axes one after the other."""
    parts = []
    for axis in axes:
        ends = [(0, int(a == axis)) for a in range(x.ndim)]
        parts.append(np.diff(np.pad(x, ends, mode=mode), axis=axis))
    return np.stack(parts, axis=1).reshape(-1, *x.shape[1:])


def laplacian(x, mode):
    """The sum of the second differences along all spatial axes."""
    total = 0
    for axis in range(1, x.ndim):
        ends = [(int(a == axis),) * 2 for a in range(x.ndim)]
        total = total + np.diff(np.pad(x, ends, mode=mode), n=2, axis=axis)
    return total


def _layer(xp, dtype, seed=40):
    kernel = normal(np.random.default_rng(seed), (2, 2, 3, 3), dtype)
    host = ConvLinearOperator(kernel, SHAPE, padding=1, boundary="reflect")
    op = ConvLinearOperator(xp.asarray(kernel), SHAPE, **host.options)
    return op, dense(host)


def convolution(xp, dtype):
    return _layer(xp, dtype)


def adjoint(xp, dtype):
    op, matrix = _layer(xp, dtype, 41)
    return op.H, matrix.conj().T


def difference(xp, dtype):
    op = DifferenceOperator(SHAPE, dtype=dtype, xp=xp)
    return op, columns(lambda x: differences(x, (1, 2), "symmetric"))


def periodic_difference(xp, dtype):
    op = DifferenceOperator(SHAPE, axis=-1, boundary="periodic", dtype=dtype, xp=xp)
    return op, columns(lambda x: differences(x, (2,), "wrap"))


def second_differences(xp, dtype):
    op = LaplacianOperator(SHAPE, boundary="reflect", dtype=dtype, xp=xp)
    return op, columns(lambda x: laplacian(x, "reflect"))


def diagonal(xp, dtype):
    values = normal(np.random.default_rng(42), (3, 1), dtype)
    op = DiagonalOperator(xp.asarray(values), SHAPE)
    return op, np.diag(np.broadcast_to(values, SHAPE).ravel())


def mask(xp, dtype):
    return MaskOperator(xp.asarray(MASK), dtype=dtype), np.eye(SIZE)[MASK.ravel()]


def fourier(xp, dtype):
    dtype = np.result_type(dtype, "complex64")
    op = FourierSampling(xp.asarray(MASK), dtype=dtype)
    second, last = (_centerd_transform(n) for n in SHAPE[1:])
    whole = np.kron(np.eye(SHAPE[0]), np.kron(second, last))
    return op, whole[MASK.ravel()]


def _centerd_transform(n):
    """The unitary transform with frequency 0 and the origin in the middle."""
    origin = np.fft.ifftshift(np.eye(n), axes=0)
    return np.fft.fftshift(scipy.linalg.dft(n, scale="sqrtn") @ origin, axes=0)


def dense_matrix(xp, dtype):
    matrix = normal(np.random.default_rng(43), (20, SIZE), dtype)
    return as_operator(xp.asarray(matrix)), matrix


def sparse_matrix(xp, dtype):
    matrix = normal(np.random.default_rng(44), (SIZE, SIZE), dtype)
    matrix[np.random.default_rng(45).random(matrix.shape) < 0.7] = 0
    return as_operator(sp.csr_array(matrix)), matrix


def stacked(xp, dtype):
    """Of one image size: channels follow each other."""
    return _stack(convolution(xp, dtype), difference(xp, dtype), diagonal(xp, dtype))


def flat_stack(xp, dtype):
    return _stack(mask(xp, dtype), convolution(xp, dtype), dense_matrix(xp, dtype))


def _stack(*pairs):
    operators, matrices = zip(*pairs)
    return StackedOperator(operators), np.concatenate(matrices)


def radon(xp, dtype):
    """Its oracle is in its own tests: here what it does to images one by one."""
    op = Radon(5, angles=4, dtype=np.dtype(dtype).type(0).real.dtype)
    return op, columns(op.forward, op.input_shape)


KINDS = {
    function.__name__: function
    for function in (
        convolution,
        adjoint,
        difference,
        periodic_difference,
        second_differences,
        diagonal,
        mask,
        fourier,
        dense_matrix,
        sparse_matrix,
        stacked,
        flat_stack,
        radon,
    )
}
ON_DEVICES = [name for name in KINDS if name not in ("sparse_matrix", "radon")]


def made(name, dtype="float64", xp=np):
    """``(operator, matrix)``, the matrix in double precision."""
    op, matrix = KINDS[name](xp, dtype)
    wide = np.result_type(matrix.dtype, "float64")
    return op, matrix.astype(wide)
