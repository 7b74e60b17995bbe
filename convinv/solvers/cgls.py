"""CGLS: conjugate gradients on the normal equations, which are never formed."""

from dataclasses import dataclass
from typing import Any

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._problem.items import BREAKDOWN, CONVERGED, divide
from .._problem.recurrence import recurrence
from ._iterate import iterate
from ._registry import solver


@solver(
    "cgls",
    preconditioner=True,
    condition=True,
    storage=Storage(m=2, n=2, captured=True),
    products=Products(),
)
def cgls(problem, monitor):
    r"""Conjugate gradients for least squares.

    The first iteration to try on any operator: it stores few vectors and makes two
    products per iteration. `lsqr` has the same iterates, computed more stably on
    ill-conditioned operators, and `lsmr` is the better one to stop early.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        No keys of its own.

    Notes
    -----
    From :math:`x = 0`, :math:`r = b` and :math:`p = s = A^H r`, an iteration is [1]_

    .. math::

        \alpha &= \frac{\|s\|^2}{\|A p\|^2 + \mathrm{damp}^2 \|p\|^2}, \qquad
        x \leftarrow x + \alpha p, \qquad
        r \leftarrow r - \alpha A p, \\
        s^+ &= A^H r - \mathrm{damp}^2 x, \qquad
        p \leftarrow s^+ + \frac{\|s^+\|^2}{\|s\|^2}\, p ,

    in the recurrences of [2]_, section 7.4. With a preconditioner M, an approximation
    of :math:`(A^H A + \mathrm{damp}^2 I)^{-1}` that is Hermitian positive definite, it
    is preconditioned CG on the normal equations: :math:`s^H M s` takes the place of
    :math:`\|s\|^2`, and :math:`M s^+` that of the first :math:`s^+` in p.

    - *Cost:* one product with A and one with :math:`A^H` per iteration.
    - *Storage:* two vectors of length m and two of length n, beside b and x.
    - *Convergence:* :math:`\|A (x_k - x)\|` falls below
      :math:`2 ((\kappa - 1) / (\kappa + 1))^k` times the first one, with
      :math:`\kappa` the condition number of A over its nonzero singular values (of
      :math:`[A; \mathrm{damp}\, I]` with `damp`). The residual decreases in every
      iteration without `damp`, and with it that of the augmented system does. The
      history holds the norm of r.
    - *Inconsistent or singular systems:* x converges to the least-squares solution of
      least norm, or to the one nearest to x0. With a preconditioner, least means in the
      norm of :math:`M^{-1}`'s inner product.
    - *Departures from* [1]_: a batch runs in step, with coefficients of its own for
      each item. The bidiagonal factor that the coefficients form gives estimates of the
      extreme singular values, for ``error_bound`` and `conlim`.

    References
    ----------
    .. [1] M. R. Hestenes and E. Stiefel, "Methods of conjugate gradients for solving
       linear systems", Journal of Research of the National Bureau of Standards 49
       (1952), 409-436, doi:10.6028/jres.049.044.
    .. [2] Å. Björck, "Numerical Methods for Least Squares Problems", SIAM, 1996,
       doi:10.1137/1.9781611971484.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "cgls", rtol=1e-10)
    >>> result.success, bool(np.allclose(result.x, x))
    (True, True)
    """
    state = _State(problem.zeros(problem.shape[1]), copy(problem.b))
    state.s, normal = problem.first_normal_residual()
    z = problem.precondition(state.s)
    state.gamma = normal if z is state.s else problem.real_dot(state.s, z)
    state.p = copy(z)
    del z  # frees its memory
    state.one, state.above = problem.fill(1.0), problem.fill(0.0)
    monitor.end(state.gamma == 0, CONVERGED)
    iterate(problem, monitor, _step, state)
    return state.x, {}


@dataclass
class _State:
    x: Any
    r: Any  # b - A x
    s: Any = None  # the normal residual A^H r - damp^2 x
    p: Any = None  # the search direction
    q: Any = None  # A p
    gamma: Any = None  # s^H M s
    above: Any = None  # squares of what is above the diagonal of the bidiagonal factor
    one: Any = None


def _step(problem, monitor, state):
    xp, vectors, items = problem.xp, problem.vectors, monitor.items
    state.q, delta = problem.forward(state.p, sumsq=True, out=state.q)
    damped = (vectors.sumsq(state.p), float(problem.damp)) if problem.damp else ()
    alpha, minus = _forth(xp, state, items, delta, *damped)
    state.r, residual = vectors.axpy(minus, state.q, state.r)
    if problem.damp:  # the normal residual needs the new x
        state.x, _ = vectors.axpy(alpha, state.p, state.x)
    state.s, normal = problem.normal_residual(state.r, state.x, out=state.s)
    z = problem.precondition(state.s)
    gamma = normal if z is state.s else problem.real_dot(state.s, z)
    beta, *norms = _turn(xp, state, items, alpha, residual, normal, gamma)
    if problem.damp:
        state.p, _ = vectors.axpby(state.one, z, beta, state.p)
    else:
        state.x, state.p = vectors.step(alpha, state.p, state.x, z, beta)
    monitor.count(state.x, *norms)


@recurrence
def _forth(xp, state, items, delta, square=None, damp=None):
    """The length of the step along p, and its negative."""
    if damp is not None:
        delta = delta + damp**2 * square
    items.end(~(delta > 0), BREAKDOWN)
    items.factor(delta / state.gamma, state.above)
    alpha = divide(xp, items.active, state.gamma, delta)
    return alpha, -alpha


@recurrence
def _turn(xp, state, items, alpha, residual, normal, gamma):
    """What of p the next one takes, and the norms of both residuals."""
    items.end(~(gamma >= 0), BREAKDOWN)
    beta = divide(xp, items.active, gamma, state.gamma)
    state.gamma, state.above = gamma, beta / alpha
    residual, normal = xp.sqrt(residual), xp.sqrt(normal)
    items.judge(residual, normal)
    return beta, residual, normal
