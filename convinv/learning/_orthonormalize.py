"""Bases of the span of images, and the images' coefficients in them.

Images are the rows of Z. A method returns ``(Q, L, kept)``: the rows of Q are the
basis, ``Z = L Q`` to rounding, and ``kept`` are the rows of Z that each added one to Q,
in this order; ``L[kept]`` is lower triangular. A row depends on earlier ones if its
remainder is at most `tol` times its size (`sizes`, given by the caller since Z may
already be a remainder).
"""

import numpy as np
from scipy import linalg

from .._core.arrays import namespace, to_numpy
from .._linalg.tall_qr import tall_qr

CORRECT = 2.0**-26  # least remainder of classical Gram-Schmidt with correct digits


def activation(v, size, eps):
    """The divisor of v: ``sqrt(|v|^2 + (eps size)^2)``.

    With ``eps = 0`` it is the norm, and the quotient is the paper's signum of a vector.
    """
    norm = namespace(v).linalg.norm(v)
    return norm if eps == 0 else (norm**2 + (eps * size) ** 2) ** 0.5


def project(z, Q, passes=1, squares=None):
    """The remainder of z orthogonal to the rows of Q, and the coefficients.

    `squares` are the squared norms of the rows if these are orthogonal but no unit
    vectors.
    """
    if not Q.shape[0]:
        return z, z[..., :0]
    left, coefficients = z, 0
    for _ in range(passes):
        h = left @ Q.conj().T
        if squares is not None:
            h = h / squares
        left, coefficients = left - h @ Q, coefficients + h
    return left, coefficients


def householder(Z, sizes, tol):
    Q, R = tall_qr(Z.T)
    diagonal = abs(to_numpy(namespace(R).diagonal(R)))
    if Z.shape[0] <= Z.shape[1] and np.all(diagonal > tol * to_numpy(sizes)):
        return Q.T, R.T, np.arange(len(diagonal))
    # Some rows depend on others: keep those that a pivoted QR finds independent
    kept = _independent(R, sizes, tol)
    Q, _ = tall_qr(Z[_index(Z, kept)].T)
    Q = namespace(Z).ascontiguousarray(Q.T)
    L = Z @ Q.conj().T
    L[_index(Z, kept)] *= namespace(Z).asarray(np.tri(len(kept)).astype(L.real.dtype))
    return Q, L, kept


def pivoted(Z, sizes, tol):
    """In each step the row with the largest remainder."""
    xp = namespace(Z)
    Q, R = tall_qr(Z.T)
    host = to_numpy(R)
    small, upper, order = linalg.qr(host, mode="economic", pivoting=True)
    size = float(to_numpy(sizes).max(initial=0))
    rank = int(np.count_nonzero(abs(np.diagonal(upper)) > tol * size))
    small, upper = small[:, :rank], upper[:rank]
    L = np.empty((Z.shape[0], rank), host.dtype)
    L[order] = upper.T
    return xp.asarray(small).T @ Q.T, xp.asarray(L), order[:rank]


def _independent(R, sizes, tol):
    """Columns of R, in order, that span all of them up to `tol`."""
    sizes = to_numpy(sizes)
    scaled = to_numpy(R) / np.where(sizes > 0, sizes, 1)
    upper, order = linalg.qr(scaled, mode="r", pivoting=True)
    rank = np.count_nonzero(abs(np.diagonal(upper)) > tol)
    return np.sort(order[:rank])


def gram_schmidt(Z, sizes, tol):
    """Classical: the products are those of the original image."""
    return _one_by_one(Z, sizes, tol, 0.0)


def smooth(Z, sizes, tol):
    """Classical, with the smooth activation.

    The rows of Q are orthogonal; a remainder of norm t becomes one of norm
    ``t / sqrt(t^2 + (tol size)^2)``. Projections divide by the square of that.
    Otherwise, as in the paper, the part that a short row misses remains in later
    images, is divided by `tol`, and grows from one dependent image to the next.
    """
    return _one_by_one(Z, sizes, CORRECT, tol)


def _one_by_one(Z, sizes, tol, eps):
    xp = namespace(Z)
    count = Z.shape[0]
    Q, L = xp.zeros_like(Z), xp.zeros((count, count), dtype=Z.dtype)
    squares = xp.ones_like(sizes)
    kept: list[int] = []
    for j in range(count):
        k = len(kept)
        v, h = project(Z[j], Q[:k], 1, squares[:k] if eps else None)
        L[j, :k] = h
        left = activation(v, sizes[j], 0.0)
        if not float(left) > tol * float(sizes[j]):
            continue
        scale = activation(v, sizes[j], eps)
        Q[k], L[j, k] = v / scale, scale
        squares[k] = (abs(Q[k]) ** 2).sum()
        kept.append(j)
    return Q[: len(kept)], L[:, : len(kept)], np.array(kept, int)


def modified(Z, sizes, tol):
    """Modified: all later images are orthogonalized against a new direction at once.

    Each remainder is projected once more before it is divided by its norm, which makes
    the basis orthonormal to rounding ("twice is enough").
    """
    xp = namespace(Z)
    count = Z.shape[0]
    rest, Q = Z.copy(), xp.zeros_like(Z)
    L = xp.zeros((count, count), dtype=Z.dtype)
    kept: list[int] = []
    for j in range(count):
        k = len(kept)
        v, h = project(rest[j], Q[:k])
        L[j, :k] += h
        size = xp.linalg.norm(v)
        if not float(size) > tol * float(sizes[j]):
            continue
        Q[k], L[j, k] = v / size, size
        h = rest[j + 1 :] @ Q[k].conj()
        L[j + 1 :, k] = h
        rest[j + 1 :] -= h[:, None] * Q[k]
        kept.append(j)
    return Q[: len(kept)], L[:, : len(kept)], np.array(kept, int)


METHODS = {
    "householder": householder,
    "gram-schmidt": gram_schmidt,
    "modified": modified,
    "pivoted": pivoted,
    "smooth": smooth,
}


def default_tol(method, n, eps):
    """The default tolerance for rows of n numbers, in a precision of `eps`."""
    if method == "smooth":
        return eps ** (1 / 3)
    if method == "gram-schmidt":
        return max(eps**0.5, CORRECT)
    return 20 * n**0.5 * eps


def _index(Z, kept):
    return namespace(Z).asarray(kept)


def extend(basis, Z, method, tol):
    """More rows for an orthonormal basis, from images Z.

    Returns ``(Q, C, kept)``: the new rows, the coefficients of Z in all rows, old and
    new, and the rows of Z that the new ones come from.
    """
    xp = namespace(Z)
    sizes = xp.linalg.norm(Z, axis=1)
    squares = (abs(basis) ** 2).sum(1) if method == "smooth" else None
    rest, C = project(Z, basis, 1, squares)
    if method in ("gram-schmidt", "smooth") or basis.shape[0] == 0:
        Q, L, kept = METHODS[method](rest, sizes, tol)
        return Q, xp.concatenate([C, L], axis=1), kept
    rest, more = project(rest, basis)
    Q, L, kept = METHODS[method](rest, sizes, tol)
    # Normalizing a small remainder amplifies its components along the old rows
    Q, leak = project(Q, basis)
    Q, R = tall_qr(Q.T)
    C = C + more + L @ leak
    return Q.T, xp.concatenate([C, L @ R.T], axis=1), kept
