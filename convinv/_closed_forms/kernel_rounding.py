"""Whether a kernel has a structure, but for rounding."""

import numpy as np

EXACT = 1e-12  # of the largest entry: what computing a kernel in double leaves
# Of each entry, in rounding errors: what computing a kernel in single precision leaves.
SINGLE = 8 * float(np.finfo("float32").eps)


def departure(kernel, model, largest) -> float | None:
    """What `kernel` adds to the norm of a layer with `model`, None if not by rounding.

    Both have three spatial axes, the last ones; `kernel` may be a part of one whose
    largest entry is `largest`, and one of single precision in a wider dtype. The
    entries of a kernel are rounded one by one: a small one beside large ones is no
    rounding error.
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
