"""Operators of other makers on CuPy arrays: matrices, cupyx's operators, duck types."""

import importlib

import numpy as np
import pytest
import scipy.sparse as sp

import convinv
from support.arrays import normal

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def cupy():
    return importlib.import_module("cupy")


def matrix(dtype="float64"):
    A = normal(np.random.default_rng(0), (9, 7), dtype)
    A[np.random.default_rng(1).random(A.shape) < 0.4] = 0
    return A


class Duck:
    """An object with products alone."""

    def __init__(self, matrix):
        self.A, self.shape, self.dtype = matrix, matrix.shape, matrix.dtype

    def matvec(self, x):
        return self.A @ x

    def rmatvec(self, y):
        return self.A.conj().T @ y


def cupyx_operator(A):
    linalg = importlib.import_module("cupyx.scipy.sparse.linalg")
    given = {"matvec": Duck(A).matvec, "rmatvec": Duck(A).rmatvec}
    return linalg.LinearOperator(A.shape, dtype=A.dtype, **given)


def cupyx_matrix_operator(A):
    return importlib.import_module("cupyx.scipy.sparse.linalg").aslinearoperator(A)


def compressed_rows(A):
    sparse = importlib.import_module("cupyx.scipy.sparse")
    return sparse.csr_matrix(sp.csr_array(A.get()))


def compressed_columns(A):
    sparse = importlib.import_module("cupyx.scipy.sparse")
    return sparse.csc_matrix(sp.csc_array(A.get()))


FORMS = {
    "dense": lambda A: A,
    "csr": compressed_rows,
    "csc": compressed_columns,
    "operator": cupyx_operator,
    "operator of a matrix": cupyx_matrix_operator,
    "duck": Duck,
}


@pytest.mark.parametrize("method", ["auto", "cgls", "lsmr"])
@pytest.mark.parametrize("form", FORMS)
def test_solves(cupy, form, method):
    A = matrix()
    x = np.random.default_rng(2).standard_normal((3, 7))
    op, b = FORMS[form](cupy.asarray(A)), cupy.asarray(x @ A.T)
    result = convinv.solve(op, b, method, rtol=1e-10)
    assert isinstance(result.x, cupy.ndarray) and result.success
    np.testing.assert_allclose(result.x.get(), x, atol=1e-7)


@pytest.mark.parametrize("form", ["dense", "csr", "csc"])
def test_complex_matrices(cupy, form):
    A = matrix("complex128")
    x = normal(np.random.default_rng(3), 7, "complex128")
    op = FORMS[form](cupy.asarray(A))
    result = convinv.solve(op, cupy.asarray(A @ x), "lsqr", rtol=1e-12)
    np.testing.assert_allclose(result.x.get(), x, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_methods_that_read_rows_refuse(cupy, form):
    A = cupy.asarray(matrix())
    with pytest.raises(TypeError, match="rows: .* of NumPy or SciPy"):
        convinv.solve(FORMS[form](A), A @ cupy.ones(7), "kaczmarz")


@pytest.mark.parametrize("form", ["dense", "csr"])
def test_data_of_another_library(cupy, form):
    A = matrix()
    with pytest.raises(TypeError, match="b must be a cupy array"):
        convinv.solve(FORMS[form](cupy.asarray(A)), A @ np.ones(7))
    with pytest.raises(TypeError, match="b must be a numpy array"):
        convinv.solve(A, cupy.asarray(A @ np.ones(7)))
