"""Compilation of kernels: without the interpreter lock, and cached on disk."""

import numba

from .jit_cache import kept


def jit(function=None, *, inner=False, **options):
    """Compile without the interpreter lock, cached on disk if possible.

    Only compiled code calls an `inner` function. Full fastmath is never used: it would
    remove tests for NaN.
    """
    if function is None:
        return lambda f: jit(f, inner=inner, **options)
    options = {"nogil": True, "error_model": "numpy", **options}
    options.update(no_cfunc_wrapper=True, no_cpython_wrapper=inner)
    with kept() as cache:
        return numba.njit(function, cache=cache, **options)
