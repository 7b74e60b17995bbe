"""FDBK: all rows with a large residual in one step, without a pseudoinverse."""

from .._core.declarations import Products, Storage
from ._greedy import GreedyRows
from ._registry import solver
from ._surrogate import surrogate_hyperplanes


@solver(
    "fdbk",
    needs_rows=True,
    damp=False,
    consistent_only=True,
    rate="gradient",
    attainable_rtol=1e-3,
    greedy=True,
    storage=Storage(m=4, n=2, captured=True),
    products=Products(),
)
def fdbk(problem, monitor):
    r"""Fast deterministic block Kaczmarz.

    A method for consistent data that projects onto a combination of the rows with the
    largest residuals. It takes the rows of `gbk` and needs no inner method. `cgls` as a
    rule needs fewer iterations.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        No keys of its own.

    Notes
    -----
    With the rows of greedy block Kaczmarz [1]_,

    .. math::

        U = \{ i : |r_i|^2 \ge \varepsilon \|r\|^2 \|a_i\|^2 \}, \qquad
        \varepsilon = \frac12 \left( \frac{1}{\|r\|^2} \max_i \frac{|r_i|^2}{\|a_i\|^2}
        + \frac{1}{\|A\|_F^2} \right),

    and eta, the residual on U and zero elsewhere, an iteration is

    .. math::

        y = A^H \eta, \qquad x \leftarrow x + \frac{\|\eta\|^2}{\|y\|^2}\, y ,

    the projection of x onto the hyperplane :math:`(\eta^H A) x = \eta^H b`. Each item
    of a batch has its own rows.

    - *Cost:* one product with A and one with :math:`A^H` per iteration. The norms of
      the rows are computed once, for a convolution from its kernel.
    - *Storage:* four vectors of length m and two of length n, beside b and x.
    - *Convergence:* on consistent data the squared error of x falls in every iteration,
      by :math:`\|\eta\|^4 / \|y\|^2`. The history holds the norm of the residual.
    - *Inconsistent systems:* x keeps moving about the solution. The method ends with
      the status STALLED when the residual falls by less than 1 % in 100 iterations.
    - *Singular systems:* x converges to the solution of least norm, or to the one
      nearest to x0.
    - *Damping:* it takes no `damp`.
    - *Departures from* [1]_: the residual is updated by :math:`A y` and not computed
      anew. The row of the largest quotient is always in U, whatever the rounding, and
      rows of zeros never are.

    References
    ----------
    .. [1] J.-Q. Chen and Z.-D. Huang, "On a fast deterministic block Kaczmarz method
       for solving large-scale linear systems", Numerical Algorithms 89 (2022),
       1007-1029.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "fdbk", rtol=1e-4)
    >>> result.success, bool(np.allclose(result.x, x, atol=1e-2))
    (True, True)
    """
    return surrogate_hyperplanes(problem, monitor, GreedyRows(problem))
