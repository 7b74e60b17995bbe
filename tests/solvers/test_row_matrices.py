"""Row methods on the matrices that people have: integers, duplicates, read-only."""

import numpy as np
import pytest
from scipy import sparse

from convinv import solve
from convinv.operators._foreign import as_operator
from convinv.operators._row_norms import column_norms, row_norms

METHODS = (
    "adbk",
    "fdbk",
    "gauss-seidel",
    "gbk",
    "kaczmarz",
    "rbk",
    "rek",
    "rk",
    "rshek",
    "rshk",
)
LARGEST = {"bool": 1, "uint8": 200, "int8": 127, "int32": 10**5, "float16": 600}
FORMATS = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")


def whole_numbers(dtype, seed=0):
    rng = np.random.default_rng(seed)
    high = LARGEST[dtype]
    low = 0 if np.dtype(dtype).kind in "bu" else -high
    return rng.integers(low, high, (12, 5), endpoint=True).astype(dtype)


def duplicated(name, seed=0):
    """A read-only matrix in which entries stand twice, where its format can do that."""
    rng = np.random.default_rng(seed)
    A = sparse.random_array((12, 6), density=0.6, rng=rng).tocoo()
    row, column = (np.concatenate([part, part]) for part in (A.row, A.col))
    data, shape = np.concatenate([A.data, -3 * A.data]), A.shape
    made = sparse.coo_array((data, (row, column)), shape=shape)
    if name in ("csr", "csc"):
        major, minor = (row, column) if name == "csr" else (column, row)
        order = np.argsort(major, kind="stable")
        count = np.bincount(major, minlength=shape[name == "csc"])
        start = np.concatenate([[0], np.cumsum(count)])
        kind = sparse.csr_array if name == "csr" else sparse.csc_array
        made = kind((data[order], minor[order], start), shape=shape)
        assert made.nnz == 2 * A.nnz
    elif name != "coo":
        made = getattr(made, f"to{name}")()
    for part in ("data", "indices", "indptr", "row", "col", "offsets"):
        array = getattr(made, part, None)
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    return made, -2 * A.toarray()


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("dtype", LARGEST)
def test_norms_are_not_squared_in_the_dtype_of_the_matrix(dtype, kind):
    A = whole_numbers(dtype)
    wide = A.astype(float)
    if kind == "sparse" and dtype != "float16":  # which SciPy has no arrays of
        A = sparse.csr_array(A)
    op = as_operator(A)
    np.testing.assert_allclose(row_norms(op), (wide**2).sum(1), rtol=1e-14)
    np.testing.assert_allclose(column_norms(op), (wide**2).sum(0), rtol=1e-14)


@pytest.mark.parametrize("dtype", LARGEST)
@pytest.mark.parametrize("method", METHODS)
def test_matrices_of_whole_numbers(method, dtype):
    A, x = whole_numbers(dtype), np.arange(1.0, 6.0)
    result = solve(A, A.astype(float) @ x, method, rtol=1e-5, maxiter=5000)
    assert result.success
    np.testing.assert_allclose(result.x, x, rtol=1e-2)


@pytest.mark.parametrize("name", FORMATS)
def test_norms_of_sparse_matrices_with_duplicates(name):
    matrix, dense = duplicated(name)
    op, count = as_operator(matrix), matrix.nnz
    np.testing.assert_allclose(row_norms(op), (dense**2).sum(1), rtol=1e-13)
    np.testing.assert_allclose(column_norms(op), (dense**2).sum(0), rtol=1e-13)
    assert matrix.nnz == count


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("method", METHODS)
def test_the_users_matrix_is_left_as_it_is(method, name):
    matrix, dense = duplicated(name)
    count, x = matrix.nnz, np.arange(-2.0, 4.0)
    result = solve(matrix, dense @ x, method, rtol=1e-9, maxiter=20000)
    assert result.success
    np.testing.assert_allclose(result.x, x, atol=1e-4)
    assert matrix.nnz == count
    np.testing.assert_allclose(matrix.toarray(), dense, rtol=1e-14)


def test_complex_matrices():
    rng = np.random.default_rng(3)
    A = rng.standard_normal((7, 4)) + 1j * rng.standard_normal((7, 4))
    for matrix in (A, sparse.csr_array(A), sparse.csr_array(A.astype("complex64"))):
        op = as_operator(matrix)
        norms = row_norms(op), column_norms(op)
        squares = np.abs(A) ** 2
        for found, axis in zip(norms, (1, 0)):
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, squares.sum(axis), rtol=1e-6)
