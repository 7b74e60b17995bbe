"""The accuracy of inverses that are refined after each application."""

from typing import NamedTuple

# Relative errors after one application of an inverse, about: the finest that is worth
# its set-up, and coarser ones; the coarsest is for well-conditioned layers only.
FINEST, COARSER, COARSEST = 3e-6, (1e-3, 1e-4, 1e-5), 1e-2
WELL = 1 / 60  # reciprocal condition number above which the coarsest is taken
# Reciprocal condition numbers up to which an inverse is kept in double precision: in
# single precision it would have few digits and need more refinements, which would cost
# more. A coarse inverse has few digits anyway.
NARROW, COARSE = 1e-4, 1e-5
SINGLE = 1 / 300  # the value above which a factor is also computed in single precision
SETTLE, SHARE = 1e-4, 0.3  # change of a settled factor: at most, and over the accuracy
# Relative normal residuals after one application, about, fitted to layers with random
# weights and to blurs. For the circulant with corrected borders: in units of `decay`,
# the least, and the reciprocal condition number at which it is as large. For a factor:
# likewise, and the rounding in single precision.
LEAST, RCOND, STEEPER = 0.15, 0.005, 0.45
FACTOR, ROUNDED, ROUNDING = 0.1, 1e-9, 1e-7


class Accuracy(NamedTuple):
    """The accuracy that an inverse is set up for.

    Attributes
    ----------
    decay : float
        Size to which the inverse of N has decayed where bands along the borders end.
    settle : float or None
        The relative change of a factor's rows at which its recursion ends, None for the
        level of rounding.
    single : bool
        Whether it is kept and applied in single precision, if enough digits remain.
    narrow : bool
        Whether its recursions also run in single precision.
    """

    decay: float = FINEST
    settle: float | None = None
    single: bool = False
    narrow: bool = False


FULL = Accuracy()


def at(decay, rcond) -> Accuracy:
    """The accuracy with a relative error of about `decay`, for N of that condition."""
    if decay <= FINEST:
        return FULL
    settle = min(SETTLE, SHARE * decay * rcond)
    return Accuracy(decay, settle, rcond > COARSE, rcond > SINGLE)


def left_by_border_correction(decay, rcond) -> float:
    """Relative normal residual after an application of the bordered circulant."""
    more = RCOND / rcond
    return decay * max(more * max(more, 1.0) ** STEEPER, LEAST)


def left_by_factor(decay, rcond) -> float:
    """The same of a block Cholesky factor."""
    if decay <= FINEST:
        return 0.0
    return FACTOR * decay + ROUNDED / rcond + ROUNDING


def levels(rcond):
    """The candidates for `decay`, coarse ones first."""
    coarsest = [COARSEST] if rcond > WELL else []
    return [*coarsest, *COARSER, FINEST]
