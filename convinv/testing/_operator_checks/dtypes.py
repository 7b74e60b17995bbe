"""Whether results have the dtype of the operator and its input together."""

import numpy as np

from .._registry import OPERATOR_CHECKS, Wrong

WIDER = {
    "float32": ("float32", "float64", "complex64"),
    "float64": ("float64", "complex128"),
    "complex64": ("complex64", "complex128"),
    "complex128": ("complex128",),
}


@OPERATOR_CHECKS.check("dtypes")
def dtypes(subject):
    """Kept where the input's is the operator's, promoted where it is wider.

    An input that the operator says it cannot take is passed over.
    """
    kept, refused = [], []
    for given in WIDER[subject.op.dtype.name]:
        for name, product, x in subject.directions():
            real = x.real.astype(given)
            try:
                got = np.asarray(product(real)).dtype
            except (TypeError, ValueError, RuntimeError) as error:
                if given == subject.op.dtype.name:
                    raise
                refused.append(f"{name} of {given} ({type(error).__name__})")
                continue
            want = np.result_type(subject.op.dtype, given)
            if got != want:
                raise Wrong(
                    f"{name} of {given} is {got}, expected {want} (the operator is "
                    f"{subject.op.dtype})"
                )
            kept.append(given)
    words = f"right for {', '.join(dict.fromkeys(kept))}"
    return words + (f"; refused: {', '.join(refused)}" if refused else "")
