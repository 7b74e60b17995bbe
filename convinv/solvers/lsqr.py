"""LSQR: least squares by Golub-Kahan bidiagonalization."""

from dataclasses import dataclass
from typing import Any

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._problem.items import CONVERGED, divide
from .._problem.recurrence import recurrence
from ._bidiagonal import Bidiagonalization, rotation
from ._iterate import iterate
from ._registry import solver


@solver(
    "lsqr",
    preconditioner=True,
    condition=True,
    storage=Storage(m=2, n=3, preconditioned_n=1, augmented=True, captured=True),
    products=Products(),
)
def lsqr(problem, monitor):
    r"""Golub-Kahan bidiagonalization that minimizes the residual.

    Its iterates are those of `cgls`, reached more stably where the operator is
    ill-conditioned; take it there. It stores one vector of length n more.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        No keys of its own.

    Notes
    -----
    From :math:`\beta u = b`, :math:`\alpha v = A^H u`, :math:`w = v`,
    :math:`\bar\phi = \beta`, :math:`\bar\rho = \alpha` and :math:`x = 0`, an iteration
    is [1]_

    .. math::

        \beta u &\leftarrow A v - \alpha u, \qquad
        \alpha v \leftarrow A^H u - \beta v, \\
        \rho &= \sqrt{\bar\rho^2 + \beta^2}, \quad
        c = \bar\rho / \rho, \quad s = \beta / \rho, \quad
        \theta = s \alpha, \quad \bar\rho \leftarrow -c \alpha, \quad
        \phi = c \bar\phi, \quad \bar\phi \leftarrow s \bar\phi, \\
        x &\leftarrow x + (\phi / \rho)\, w, \qquad
        w \leftarrow v - (\theta / \rho)\, w .

    The norm of the residual is :math:`\bar\phi`, that of the normal residual
    :math:`\bar\phi \alpha |c|`.

    With a preconditioner M, an approximation of :math:`(A^H A + \mathrm{damp}^2
    I)^{-1}` that is Hermitian positive definite, it is LSQR on :math:`A M^{1/2}`,
    computed with products with M only [2]_.

    - *Cost:* one product with A and one with :math:`A^H` per iteration.
    - *Storage:* two vectors of length m and three of length n beside b and x, four with
      a preconditioner.
    - *Convergence:* that of `cgls`. The residual decreases in every iteration; the
      history holds its norm.
    - *Inconsistent or singular systems:* x converges to the least-squares solution of
      least norm, or to the one nearest to x0. With a preconditioner, least means in the
      norm of :math:`M^{-1}`'s inner product.
    - *Damping:* it runs on :math:`[A; \mathrm{damp}\, I]`, which stores n more numbers
      in every vector of length m. The residual is then that of this system.
    - *Departures from* [1]_: u and v are kept with the inverse of their norms, not
      normalized, which saves a pass over each. A batch runs in step. An item in which
      the bidiagonal factor is singular to rounding ends with the status STALLED.
      The factor gives estimates of the extreme singular values, for ``error_bound`` and
      `conlim`; the stopping tests are those of `convinv.solve`.

    References
    ----------
    .. [1] C. C. Paige and M. A. Saunders, "LSQR: An algorithm for sparse linear
       equations and sparse least squares", ACM Transactions on Mathematical Software 8
       (1982), 43-71, doi:10.1145/355984.355989.
    .. [2] S. R. Arridge, M. M. Betcke and L. Harhanen, "Iterated preconditioned LSQR
       method for inverse problems on unstructured grids", Inverse Problems 30 (2014),
       075009, doi:10.1088/0266-5611/30/7/075009.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "lsqr", rtol=1e-10)
    >>> result.success, bool(np.allclose(result.x, x))
    (True, True)
    """
    problem = problem.augmented()
    basis = Bidiagonalization(problem, monitor)
    state = _State(
        x=problem.zeros(problem.shape[1]),
        basis=basis,
        w=copy(basis.V),
        w_scale=basis.v_scale,
        phi_bar=basis.beta,
        rho_bar=basis.alpha,
        above=0 * basis.one,
    )
    monitor.end(state.rho_bar == 0, CONVERGED)
    iterate(problem, monitor, _step, state)
    return state.x, {}


@dataclass
class _State:
    x: Any
    basis: Bidiagonalization
    w: Any  # w_scale * w is the search direction
    w_scale: Any
    phi_bar: Any  # the norm of the residual
    rho_bar: Any  # the last entry on the diagonal, before its rotation
    above: Any  # the square of theta, above the diagonal


def _step(problem, monitor, state):
    basis, items = state.basis, monitor.items
    sums = basis.advance()
    length, back, residual, normal = _turn(problem.xp, state, items, *sums)
    state.x, state.w = problem.vectors.step(length, state.w, state.x, basis.V, back)
    monitor.count(state.x, residual, normal)


@recurrence
def _turn(xp, state, items, sums, gamma):
    """The next rotation; returns the coefficients of x and w, and both norms."""
    basis = state.basis
    active = items.active  # items whose preconditioner fails move x a last time
    basis.lengthen(xp, items, sums, gamma)
    c, s, rho = rotation(xp, state.rho_bar, basis.beta)
    active = active & ~items.factor(rho * rho, state.above)
    theta, state.rho_bar = s * basis.alpha, -c * basis.alpha
    state.above = theta * theta
    length = divide(xp, active, c * state.phi_bar, rho) * state.w_scale
    state.phi_bar = s * state.phi_bar
    # w = v - (theta / rho) w, in units of v
    back = -divide(xp, items.active, theta * state.w_scale, rho * basis.v_scale)
    state.w_scale = basis.v_scale
    residual = xp.abs(state.phi_bar)
    # A^H r = -c phi_bar (alpha p), whatever inner product alpha is from
    normal = xp.abs(state.phi_bar * basis.normal * c)
    items.judge(residual, normal)
    return length, back, residual, normal
