"""The pseudoinverse of a periodic layer, frequency by frequency."""

from .._polyphase import Polyphase
from .._spectral_inverse import inverse, remainder
from .._spectrum import why_not_torus
from ._registry import solver


@solver(
    "spectral",
    conv_only=True,
    adjoints=True,
    verified=True,
    vectors="2 m + 2 n, and C_out C_in entries per frequency",
    products="the pseudoinverse once",
)
def spectral(problem, monitor, *, rcond=None):
    """The exact inverse of a periodic layer, by the discrete Fourier transform.

    For layers that are invariant under shifts around a torus: with periodic boundary
    and as many outputs as steps of the stride fit into the input, or with no overlap of
    windows at all. The s^d samples of a cell of stride s are taken as channels; then
    the layer is one dense matrix of shape ``(C_out / groups, C_in / groups * s^d)`` per
    frequency and group, and their pseudoinverses together are the pseudoinverse of the
    layer: x is the least-squares solution, of least norm where there are many, and with
    `damp` the damped one.

    Singular values up to `rcond` times the largest count as zero (truncated SVD, not to
    be had with `damp`); where that changes x, it is no least-squares solution any more,
    and the solve ends with the status STALLED and a message that says so. By default
    only those count as zero that rounding may have made.

    The set-up, one small factorisation per frequency, is kept with the operator for the
    next solve. An iteration is one application; a second one mostly is needed only in
    single precision.
    """
    _check(rcond, problem)
    op, damp = problem.op, problem.damp
    key = ("spectral", problem.b.dtype, damp, rcond)
    inverted = op._kept(key, lambda: inverse(op, damp, rcond))
    d = inverted.apply(problem.b)
    if damp and problem.origin is not None:
        # the damped pseudoinverse of the residual, less what damping takes from the
        # start; A^H r - damp^2 origin would lose more to rounding where damp is small
        key = ("spectral remainder", problem.b.dtype, damp)
        d = d - op._kept(key, lambda: remainder(op, damp)).apply(problem.origin)
    return d, {} if damp else _notes(inverted, rcond)


def _check(rcond, problem):
    geometry = problem.op.layer.geometry
    if not Polyphase(geometry).is_torus:
        raise ValueError(
            "method 'spectral' needs a layer that is invariant under shifts around a "
            f"torus, but {why_not_torus(geometry)}; use method='auto'"
        )
    if rcond is None:
        return
    if not 0 <= rcond < 1:
        raise ValueError(f"rcond must be in [0, 1), got {rcond!r}")
    if problem.damp:
        raise ValueError("rcond truncates and damp damps: take one of them, not both")


def _notes(inverted, rcond):
    notes = {"rank": inverted.count - inverted.zeros}
    if inverted.zeros:
        size = "rounding" if rcond is None else f"rcond={rcond:g}"
        notes["message"] = (
            f"{inverted.zeros} of {inverted.count} singular values are below {size} "
            "and count as zero"
        )
    return notes
