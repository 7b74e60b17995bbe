"""Whether an operator's adjoint is the adjoint of it."""

from __future__ import annotations

import numpy as np

from .._core.arrays import namespace, placement, to_numpy
from .._core.random_vectors import standard_normal
from .._core.typing import OperatorInput, Seed
from ._foreign import as_operator

# Of the norms, how much the two products may differ for each dtype that computes them.
TOLERANCE = {"f": 1e-6, "d": 1e-10}


def dot_test(
    op: OperatorInput,
    *,
    rtol: float | None = None,
    rng: Seed = None,
    raiseerror: bool = True,
) -> bool:
    """Whether ``<A x, y> = <x, A^H y>`` for random x and y.

    Parameters
    ----------
    op : ConvLinearOperator, LinearOperator, sparse or dense matrix
        Or any object with ``shape``, ``matvec`` and ``rmatvec``, on NumPy arrays; a
        `ConvLinearOperator` may be one on CuPy arrays.
    rtol : float, optional
        How much the two may differ, in units of ``||A x|| ||y|| + ||x|| ||A^H y||``;
        by default 1e-6 in single and 1e-10 in double precision.
    rng : None, int or numpy.random.Generator
        Source of x and y; by default always the same ones.
    raiseerror : bool
        Raise an error where the test fails, instead of returning False.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        If the test fails and `raiseerror` is true; it names both products.
    TypeError
        If op is no operator or has no adjoint.

    Notes
    -----
    Methods that use an adjoint (all but `cg` and plain `gmres`) converge to something
    else, or not at all, where it is wrong. The cost is one product with A and one with
    its adjoint. A transpose that is not conjugated fails for complex operators.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import LinearOperator
    >>> from convinv import dot_test
    >>> A = np.array([[1.0, 2.0], [0.0, 3.0]])
    >>> dot_test(A)
    True
    >>> wrong = LinearOperator((2, 2), matvec=lambda x: A @ x, rmatvec=lambda y: A @ y)
    >>> dot_test(wrong, raiseerror=False)
    False
    """
    op = as_operator(op)
    if not op.has_adjoint:
        raise TypeError("op has no adjoint (rmatvec) to be tested")
    rng = np.random.default_rng(0 if rng is None else rng)
    left, right, size = products((op.xp or np).empty(0), op, rng)
    if rtol is None:
        rtol = TOLERANCE["f" if np.finfo(op.dtype).eps > 1e-10 else "d"]
    passed = bool(abs(left - right) <= rtol * size)
    if raiseerror and not passed:
        raise ValueError(
            f"the adjoint of op is not its adjoint: <A x, y> is {left:.6g} and "
            f"<x, A^H y> is {right:.6g}"
        )
    return passed


def products(like, op, rng):
    """``<A x, y>``, ``<x, A^H y>`` and ``||A x|| ||y|| + ||x|| ||A^H y||``.

    x and y are random, of the library and on the device of the array `like`.
    """
    xp = namespace(like)

    def random(shape):
        values = standard_normal(rng, (1, *shape), op.dtype)
        return xp.asarray(values.astype(op.dtype), **placement(like))

    x, y = random(op.input_shape), random(op.output_shape)
    forward, backward = op.apply(x), op.apply_adjoint(y)
    x, y, forward, backward = (
        to_numpy(a).ravel().astype(np.result_type(op.dtype, np.float64))
        for a in (x, y, forward, backward)
    )
    size = np.linalg.norm(forward) * np.linalg.norm(y)
    size = size + np.linalg.norm(x) * np.linalg.norm(backward)
    return np.vdot(y, forward), np.vdot(backward, x), size
