"""RK: Kaczmarz with rows drawn at random."""

from .._core.declarations import Products, Storage
from .._core.options import Relaxation
from ._registry import solver
from ._row_actions import RowActions, WeightedSampler, row_sweeps


@solver(
    "rk",
    needs_rows=True,
    consistent_only=True,
    start_with_damp=False,
    rate="rows",
    storage=Storage(m=7, n=3, shared_m=6, damped_m=2, counts_products=True),
    products=Products(besides="the sweep"),
    limits=("groups",),  # from afar, more than 3000 sweeps
)
def rk(problem, monitor, *, relaxation: Relaxation = 1.0):
    r"""Randomized Kaczmarz.

    Kaczmarz's method for consistent data or with `damp`, with a rate of convergence
    that does not depend on the order of the rows. `kaczmarz` is faster on convolutions.

    Parameters
    ----------
    relaxation : float
        Between 0 and 2. With 1, as in the paper, a step is the projection onto the
        hyperplane of a row.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        No keys of its own.

    Notes
    -----
    A step draws row i with probability :math:`\|a_i\|^2 / \|A\|_F^2` and is [1]_

    .. math::

        x \leftarrow x + \mathrm{relaxation}\,
        \frac{b_i - a_i x}{\|a_i\|^2}\, a_i^H .

    An iteration is as many draws as there are rows. All items of a batch have the same
    draws, which come from `rng`.

    - *Cost:* an iteration has as many multiplications as two products, but it is much
      slower than those, as it reads at random. One product with A and one with
      :math:`A^H` follow it for the stopping test.
    - *Storage:* seven vectors of length m, with the draws, and three of length n,
      beside b and x. A dense matrix is copied to sparse form.
    - *Convergence:* on consistent data the expected squared error falls in every draw
      by the factor :math:`1 - \sigma_{\min}^2 / \|A\|_F^2`, with the smallest nonzero
      singular value of A. The history holds the norm of the residual.
    - *Inconsistent systems:* x keeps moving about the solution at a distance in
      proportion to the inconsistent part of b (the noise horizon). The method ends with
      the status STALLED when the residual falls by less than 1 % in 100 iterations;
      `rek` takes such data.
    - *Singular systems:* x converges to the solution of least norm, or to the one
      nearest to x0.
    - *Damping:* the rows are those of :math:`[A, \mathrm{damp}\, I]`, a consistent
      system, and x converges to the damped solution, slowly where `damp` is small. The
      sweeps start at zero then, and x0 makes no difference.

    References
    ----------
    .. [1] T. Strohmer and R. Vershynin, "A randomized Kaczmarz algorithm with
       exponential convergence", Journal of Fourier Analysis and Applications 15 (2009),
       262-278, doi:10.1007/s00041-008-9030-4.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "rk", rtol=1e-4, rng=0)
    >>> result.success, bool(np.allclose(result.x, x, atol=1e-2))
    (True, True)
    """
    rows = RowActions(problem, relaxation)
    draw = WeightedSampler(
        problem.rng, (rows.norms + problem.damp**2) * (rows.norms > 0)
    )
    return row_sweeps(problem, monitor, rows, lambda: rows.put(draw(problem.shape[0])))
