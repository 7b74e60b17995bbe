"""Local inverses on a device, whose inverses and factors of singular matrices are NaN.

NumPy raises LinAlgError for them, CuPy does not: the verdict must be the same.
"""

import numpy as np
import pytest

from convinv.local_inverse import LocalInverse, certify, newton_schulz

SINGULAR = {
    "zeros": np.zeros((4, 4)),
    "a row of zeros": np.diag([1.0, 2.0, 3.0, 0.0]),
    "rank one": np.ones((4, 4)),
    "one of a stack": np.stack([np.eye(4), np.zeros((4, 4))]),
}


def matrices(dtype):
    rng = np.random.default_rng(0)
    A0 = np.eye(5) + 0.1 * rng.standard_normal((3, 5, 5))
    return A0.astype(dtype), (A0 + 0.01 * rng.standard_normal(A0.shape)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_device_equals_host(cupy, dtype):
    A0, A = matrices(dtype)
    expected = LocalInverse(A0, order=3)(A)
    found = LocalInverse(cupy.asarray(A0), order=3)(cupy.asarray(A))
    assert found.success and isinstance(found.x, cupy.ndarray)
    limit = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(found.x.get(), expected.x, atol=limit)
    error = np.linalg.norm(found.x.get() - np.linalg.inv(A.astype("c16")), 2, (1, 2))
    assert np.all(error <= np.asarray(cupy.asnumpy(found.bound)))


@pytest.mark.parametrize("name", SINGULAR)
def test_singular_matrices(cupy, name):
    A = SINGULAR[name]
    for given in (A, cupy.asarray(A)):
        with pytest.raises(np.linalg.LinAlgError, match="A0 is singular"):
            LocalInverse(given)


@pytest.mark.parametrize("name", ["zeros", "rank one"])
def test_iterations_towards_no_inverse(cupy, name):
    found = newton_schulz(cupy.asarray(SINGULAR[name]), on_failure="ignore")
    assert not found.success


def test_no_inverse_is_proven(cupy):
    A = cupy.asarray(SINGULAR["one of a stack"])
    proven = certify(A, cupy.asarray(np.stack([np.eye(4)] * 2))).proven
    assert cupy.asnumpy(proven).tolist() == [True, False]
