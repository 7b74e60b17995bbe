"""CG for Hermitian positive definite operators."""

from dataclasses import dataclass
from typing import Any

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._problem.items import BREAKDOWN, CONVERGED, INDEFINITE, divide
from .._problem.recurrence import recurrence
from ._iterate import iterate
from ._registry import solver


@solver(
    "cg",
    square=True,
    hermitian=True,
    needs_adjoint=False,
    damp=False,
    preconditioner=True,
    condition=True,
    storage=Storage(m=1, n=2, captured=True),
    products=Products(1, 0),
)
def cg(problem, monitor):
    r"""Conjugate gradients for Hermitian positive definite operators.

    Take it where the operator is Hermitian and positive definite, as a blur with a
    symmetric kernel often is: it makes one product per iteration and needs no adjoint.
    `cgls` and `lsmr` take all other operators.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        No keys of its own.

    Raises
    ------
    ValueError
        If two random vectors show that the operator is not Hermitian.

    Notes
    -----
    From :math:`x = 0` and :math:`p = r = b`, an iteration is [1]_

    .. math::

        \alpha = \frac{r^H r}{p^H A p}, \qquad
        x \leftarrow x + \alpha p, \qquad
        r^+ = r - \alpha A p, \qquad
        p \leftarrow r^+ + \frac{(r^+)^H r^+}{r^H r}\, p .

    With a preconditioner M, an approximation of :math:`A^{-1}` that is Hermitian
    positive definite, :math:`r^H M r` takes the place of :math:`r^H r`, and
    :math:`M r^+` that of the first :math:`r^+` in p.

    - *Cost:* one product with A per iteration.
    - *Storage:* one vector of length m and two of length n, beside b and x.
    - *Convergence:* the error in the norm of A falls below
      :math:`2 ((\sqrt\kappa - 1) / (\sqrt\kappa + 1))^k` times the first one in k
      iterations, with :math:`\kappa` the condition number of A, or of M A. The history
      holds the norm of the residual, which may rise on the way.
    - *Singular operators:* on a semidefinite A with b in its range, x converges to the
      solution of least norm, or to the solution nearest to x0. A direction of negative
      curvature ends the solve with the status INDEFINITE, one of zero curvature with
      BREAKDOWN.
    - *Damping:* it takes no `damp`.
    - *Departures from* [1]_: a batch runs in step, with coefficients of its own for
      each item. The tridiagonal factor that the coefficients form gives estimates of
      the smallest and the largest eigenvalue, for ``error_bound`` and `conlim`.

    References
    ----------
    .. [1] M. R. Hestenes and E. Stiefel, "Methods of conjugate gradients for solving
       linear systems", Journal of Research of the National Bureau of Standards 49
       (1952), 409-436, doi:10.6028/jres.049.044.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, solve
    >>> kernel = np.array([[0, 0.1, 0], [0.1, 0.6, 0.1], [0, 0.1, 0]])[None, None]
    >>> op = ConvLinearOperator(kernel, (1, 16, 16), padding="same")
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "cg", rtol=1e-10)
    >>> result.success, bool(np.allclose(result.x, x))
    (True, True)
    """
    state = _State(problem.zeros(problem.shape[1]), copy(problem.b))
    residual = problem.vectors.sumsq(state.r)
    z = problem.precondition(state.r)
    state.gamma = residual if z is state.r else problem.real_dot(state.r, z)
    state.p, state.above = copy(z), problem.fill(0.0)
    del z  # frees its memory
    monitor.end(residual == 0, CONVERGED)
    iterate(problem, monitor, _step, state)
    return state.x, {}


@dataclass
class _State:
    x: Any
    r: Any  # b - A x
    p: Any = None  # the search direction
    q: Any = None  # A p
    gamma: Any = None  # r^H M r
    above: Any = None  # what is above the diagonal of the tridiagonal factor


def _step(problem, monitor, state):
    xp, vectors, items = problem.xp, problem.vectors, monitor.items
    state.q = problem.forward(state.p, out=state.q)
    curvature = problem.real_dot(state.p, state.q)
    alpha, minus = _forth(xp, state, items, curvature)
    state.r, residual = vectors.axpy(minus, state.q, state.r)
    z = problem.precondition(state.r)
    gamma = residual if z is state.r else problem.real_dot(state.r, z)
    beta, norm = _turn(xp, state, items, alpha, residual, gamma)
    state.x, state.p = vectors.step(alpha, state.p, state.x, z, beta)
    monitor.count(state.x, norm)


@recurrence
def _forth(xp, state, items, curvature):
    """The length of the step along p, and its negative."""
    items.end(curvature < 0, INDEFINITE)
    items.end(~(curvature > 0), BREAKDOWN)
    items.factor(curvature / state.gamma, state.above, hermitian=True)
    alpha = divide(xp, items.active, state.gamma, curvature)
    return alpha, -alpha


@recurrence
def _turn(xp, state, items, alpha, residual, gamma):
    """What of p the next one takes, and the norm of the residual."""
    items.end(~(gamma >= 0), INDEFINITE)
    beta = divide(xp, items.active, gamma, state.gamma)
    state.gamma, state.above = gamma, beta / alpha
    norm = xp.sqrt(residual)
    items.judge(norm)
    return beta, norm
