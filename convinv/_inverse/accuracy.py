"""How exact an inverse is made that is refined afterwards."""

from typing import NamedTuple

# What one application of an inverse leaves of the error, about: the finest that is
# worth a set-up, and coarser ones, the coarsest for well-conditioned layers alone.
FINEST, COARSER, COARSEST = 3e-6, (1e-3, 1e-4, 1e-5), 1e-2
WELL = 1 / 60  # reciprocal condition numbers from which on the coarsest will do
# Those up to which an inverse is kept in double precision: in single precision it would
# have few digits, and more refinements would cost more. A coarse one has few anyway.
NARROW, COARSE = 1e-4, 1e-5
SINGLE = 1 / 300  # those from which on a factor is made in single precision, too
SETTLE, SHARE = 1e-4, 0.3  # of factors: a bound, and in units of the accuracy
# What an application leaves of the normal residual, about, fitted to layers with random
# weights and to blurs: of nested tori in units of `decay`, at least, and as much at a
# reciprocal condition number; of a factor, and by rounding in single precision.
LEAST, RCOND, STEEPER = 0.15, 0.005, 0.45
FACTOR, ROUNDED, ROUNDING = 0.1, 1e-9, 1e-7


class Accuracy(NamedTuple):
    """What an inverse aims at.

    Attributes
    ----------
    decay : float
        What is left of the inverse of N where bands along the borders end.
    settle : float or None
        The relative change of a factor's rows at which its recursion ends, None for
        what rounding leaves.
    single : bool
        Whether it is kept and applied in single precision, if that leaves digits.
    narrow : bool
        Whether its recursions run in single precision as well.
    """

    decay: float = FINEST
    settle: float | None = None
    single: bool = False
    narrow: bool = False


FULL = Accuracy()


def at(decay, rcond) -> Accuracy:
    """What leaves about `decay` of the error, with N of that condition."""
    if decay <= FINEST:
        return FULL
    settle = min(SETTLE, SHARE * decay * rcond)
    return Accuracy(decay, settle, rcond > COARSE, rcond > SINGLE)


def left_by_tori(decay, rcond) -> float:
    """What an application of nested tori leaves of the normal residual, about."""
    more = RCOND / rcond
    return decay * max(more * max(more, 1.0) ** STEEPER, LEAST)


def left_by_factor(decay, rcond) -> float:
    """The same of a block Cholesky factor."""
    if decay <= FINEST:
        return 0.0
    return FACTOR * decay + ROUNDED / rcond + ROUNDING


def levels(rcond):
    """The values of `decay` that come into question, coarse ones first."""
    coarsest = [COARSEST] if rcond > WELL else []
    return [*coarsest, *COARSER, FINEST]
