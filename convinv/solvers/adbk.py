"""ADBK: all rows with more than the mean residual in one step, with momentum."""

import functools

from .._core.declarations import Products, Storage
from .._core.options import Fraction
from ._registry import solver
from ._surrogate import surrogate_hyperplanes


@solver(
    "adbk",
    damp=False,
    consistent_only=True,
    rate="gradient",
    attainable_rtol=1e-3,
    greedy=True,
    storage=Storage(m=4, n=3, captured=True),
    products=Products(),
)
def adbk(problem, monitor, *, momentum: Fraction = 0.0):
    r"""Averaging deterministic block Kaczmarz, with momentum mADBK.

    A method for consistent data that needs nothing of the operator but its products,
    unlike `fdbk` and `gbk`, which need the norms of its rows. `cgls` as a rule
    needs fewer iterations.

    Parameters
    ----------
    momentum : float
        How much of the last change of x is added to the next one, at least 0 and below
        1. The paper takes 0.5 for mADBK; 0 is ADBK.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        No keys of its own.

    Notes
    -----
    The method is called *adaptive* deterministic block Kaczmarz in [1]_. With eta the
    residual on the rows U that have at least the mean squared residual,

    .. math::

        U = \{ i : |r_i|^2 \ge \|r\|^2 / m \}, \qquad
        \eta_i = r_i \text{ for } i \in U, \text{ else } 0, \qquad y = A^H \eta,

    an iteration projects x onto the hyperplane :math:`(\eta^H A) x = \eta^H b`:

    .. math::

        x_{k+1} = x_k + \frac{\|\eta\|^2}{\|y\|^2}\, y
        + \mathrm{momentum}\, (x_k - x_{k-1}) .

    Each item of a batch has its own rows.

    - *Cost:* one product with A and one with :math:`A^H` per iteration.
    - *Storage:* four vectors of length m and three of length n, beside b and x.
    - *Convergence:* on consistent data and without momentum the squared error of x
      falls in every iteration, by the factor :math:`1 - (|U| / m)\, \sigma_{\min}^2 /
      \sigma_{\max}(A_U)^2` at least, with the smallest nonzero singular value of A.
      With momentum it may rise on the way. The history holds the norm of the residual.
    - *Inconsistent systems:* x keeps moving about the solution. The method ends with
      the status STALLED when the residual falls by less than 1 % in 100 iterations.
    - *Singular systems:* x converges to the solution of least norm, or to the one
      nearest to x0.
    - *Damping:* it takes no `damp`.
    - *Departures from* [1]_: the residual is updated by :math:`A y` and not computed
      anew. The row of the largest residual is always in U, also where rounding puts the
      mean above it.

    References
    ----------
    .. [1] Tan, Guo, Deng and Chen, on the adaptive deterministic block Kaczmarz method
       with momentum (ADBK and mADBK), 2025; MATLAB code of the authors at
       https://github.com/tlzzhy/mADBK.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> plain = solve(op, op.forward(x), "adbk", rtol=1e-4)
    >>> faster = solve(op, op.forward(x), "adbk", rtol=1e-4, momentum=0.5)
    >>> plain.success, faster.success, faster.nit < plain.nit
    (True, True, True)
    """
    select = functools.partial(_rows_above_mean, problem.xp)
    return surrogate_hyperplanes(problem, monitor, select, momentum=float(momentum))


def _rows_above_mean(xp, r, squares):
    """A mask of the rows with at least the mean squared residual, shape (B, m)."""
    size = xp.abs(r)
    mean = xp.astype(xp.sqrt(squares / r.shape[1]), size.dtype)
    least = xp.minimum(mean, xp.max(size, axis=1))  # rounding may put it above
    return size >= least[:, None]
