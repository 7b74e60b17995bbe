"""Other implementations of a cycle of GMRES."""

import numpy as np
from scipy.signal import convolve2d
from scipy.sparse import linalg

from ...support.quiet import quietly


def squared_residual(op, x, b):
    """``||A x - b||^2``, of vectors or images."""
    b = np.ravel(b)
    return float(np.sum((op @ np.ravel(x) - b) ** 2))


def convinv_cycle(op, b, steps):
    """A cycle of this package from 0."""
    return quietly(op, b, "gmres", restart=steps, maxiter=steps, rtol=0).x


def scipy_cycle(op, b, steps):
    """A cycle of SciPy's from 0, of a vector b."""
    return linalg.gmres(op, b, rtol=0, atol=0, restart=steps, maxiter=1)[0]


def convolve2d_operator(kernel, size, dtype):
    """The convolution as SciPy computes it, tap by tap."""
    kernel = kernel.astype(dtype)

    def apply(x):
        image = np.asarray(x).reshape(size, size)
        return convolve2d(image, kernel, mode="same").ravel()

    shape = (size * size, size * size)
    return linalg.LinearOperator(shape, matvec=apply, dtype=dtype)


def textbook_cycle(apply, b, x, steps):
    """A cycle as textbooks have it: modified Gram-Schmidt, then least squares.

    Saad, Iterative Methods for Sparse Linear Systems, algorithm 6.9. `x` is where it
    starts; a breakdown ends it early.
    """
    r = b - apply(x)
    beta = np.linalg.norm(r)
    if beta == 0:
        return x
    basis = np.empty((steps + 1, b.size), b.dtype)
    hessenberg = np.zeros((steps + 1, steps))
    basis[0] = r / beta
    for j in range(steps):
        w = apply(basis[j])
        for i in range(j + 1):
            hessenberg[i, j] = basis[i] @ w
            w = w - hessenberg[i, j] * basis[i]
        hessenberg[j + 1, j] = norm = np.linalg.norm(w)
        if norm <= 1e-14 * np.linalg.norm(hessenberg[: j + 1, j]):
            hessenberg, steps = hessenberg[: j + 2, : j + 1], j + 1
            break
        basis[j + 1] = w / norm
    right = np.zeros(steps + 1)
    right[0] = beta
    y = np.linalg.lstsq(hessenberg, right, rcond=None)[0]
    return x + y.astype(b.dtype) @ basis[:steps]


def jax_cycles(kernel, size, b, steps):
    """Functions without arguments that run a compiled cycle of JAX from 0.

    "classical" is one pass of Gram-Schmidt over the whole basis, zeros included, so
    that shapes are known when it is compiled; "library" is JAX's own GMRES. Raises
    ImportError without JAX.
    """
    import jax
    import jax.numpy as jnp
    from jax.scipy.signal import convolve2d as convolve
    from jax.scipy.sparse.linalg import gmres

    jax.config.update("jax_enable_x64", True)
    cpu = jax.devices("cpu")[0]
    weights, right = (jax.device_put(a, cpu) for a in (kernel.astype(b.dtype), b))

    def apply(x):
        return convolve(x.reshape(size, size), weights, mode="same").ravel()

    def classical(b):
        beta = jnp.linalg.norm(b)
        basis = jnp.zeros((steps + 1, b.size), b.dtype).at[0].set(b / beta)
        matrix = jnp.zeros((steps + 1, steps), b.dtype)

        def step(j, state):
            basis, matrix = state
            w = apply(basis[j])
            h = basis @ w
            w = w - h @ basis
            norm = jnp.linalg.norm(w)
            matrix = matrix.at[:, j].set(h).at[j + 1, j].set(norm)
            return basis.at[j + 1].set(w / norm), matrix

        basis, matrix = jax.lax.fori_loop(0, steps, step, (basis, matrix))
        rhs = jnp.zeros(steps + 1, b.dtype).at[0].set(beta)
        return jnp.linalg.lstsq(matrix, rhs)[0] @ basis[:-1]

    def library(b):
        options = {"tol": 0.0, "atol": 0.0, "restart": steps, "maxiter": 1}
        return gmres(apply, b, solve_method="incremental", **options)[0]

    compiled = {"classical": jax.jit(classical), "library": jax.jit(library)}
    return {
        name: lambda f=f: np.asarray(f(right).block_until_ready())
        for name, f in compiled.items()
    }
