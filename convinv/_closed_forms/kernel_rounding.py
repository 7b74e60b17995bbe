"""Whether a kernel has a structure up to rounding."""

import numpy as np

EXACT = 1e-12  # errors of a kernel computed in double, in units of its largest entry
# Errors of a kernel computed in single precision, in rounding errors of each entry.
SINGLE = 8 * float(np.finfo("float32").eps)


def departure(kernel, model, largest) -> float | None:
    """A bound of the norm of the layer ``kernel - model``, None if beyond rounding.

    Both have three spatial axes, the last ones; `kernel` may be a part of one whose
    largest entry is `largest`, and one of single precision in a wider dtype. Each entry
    of a kernel has its own rounding error: a small entry next to large ones is not one.
    """
    difference = np.abs(kernel - model)
    allowed = EXACT * largest
    if not (difference <= allowed).all():
        allowed = allowed + SINGLE * np.abs(model)
        if not (difference <= allowed).all() or not _is_single(kernel):
            return None
    taps = difference.reshape(-1, *kernel.shape[-3:])
    return float(np.linalg.norm(taps, axis=0).sum())


def _is_single(kernel):
    """Whether all values are those of single precision."""
    with np.errstate(over="ignore"):
        narrow = kernel.astype("complex64" if np.iscomplexobj(kernel) else "float32")
    return bool((narrow == kernel).all())
