"""cuBLAS as the stand-in for CuPy has it: products of matrices at addresses."""

import ctypes

import numpy as np

from . import fake_streams

TYPES = {0: "float32", 1: "float64", 4: "complex64", 5: "complex128"}
COMPUTE = {"float32": 68, "float64": 70, "complex64": 68, "complex128": 70}


def _at(address, dtype, rows, columns, apart):
    """Columns `apart` numbers apart in memory, as a view."""
    size = apart * (columns - 1) + rows
    data = (ctypes.c_char * (size * dtype.itemsize)).from_address(int(address))
    flat = np.frombuffer(data, dtype)
    strides = (dtype.itemsize, apart * dtype.itemsize)
    return np.lib.stride_tricks.as_strided(flat, (rows, columns), strides)


def _product(dtype, sizes, scales, addresses, apart):
    """``c = alpha a b + beta c``, columns first; `a` and `b` may be transposed."""
    trans_a, trans_b, m, n, k = sizes
    a = _at(addresses[0], dtype, *((k, m) if trans_a else (m, k)), apart[0])
    b = _at(addresses[1], dtype, *((n, k) if trans_b else (k, n)), apart[1])
    c = _at(addresses[2], dtype, m, n, apart[2])
    alpha, beta = scales
    found = alpha * ((a.T if trans_a else a) @ (b.T if trans_b else b))
    c[...] = found + beta * c if beta else found


def _scale(address, dtype):
    return _at(address, dtype, 1, 1, 1)[0, 0]


def _batched(dtype):
    """Products of matrices whose addresses lie in arrays on the device."""

    def function(handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, count):
        fake_streams.refuse("cuBLAS")
        scales = [_scale(s, dtype) for s in (alpha, beta)]
        tables = [_at(t, np.dtype("int64"), count, 1, count)[:, 0] for t in (a, b, c)]
        for addresses in zip(*tables):
            _product(dtype, (ta, tb, m, n, k), scales, addresses, (lda, ldb, ldc))

    return function


sgemmBatched, dgemmBatched, cgemmBatched, zgemmBatched = map(
    _batched, map(np.dtype, TYPES.values())
)


def gemmStridedBatchedEx(
    handle, ta, tb, m, n, k, alpha, a, a_type, lda, a_stride, b, b_type, ldb, b_stride,
    beta, c, c_type, ldc, c_stride, count, compute, algorithm,
):  # fmt: skip
    fake_streams.refuse("cuBLAS")
    dtype = np.dtype(TYPES[a_type])
    assert a_type == b_type == c_type and compute == COMPUTE[dtype.name]
    scales = [_scale(s, dtype) for s in (alpha, beta)]
    for item in range(count):
        starts = ((a, a_stride), (b, b_stride), (c, c_stride))
        addresses = [s + item * apart * dtype.itemsize for s, apart in starts]
        _product(dtype, (ta, tb, m, n, k), scales, addresses, (lda, ldb, ldc))
