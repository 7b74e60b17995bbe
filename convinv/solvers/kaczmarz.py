"""Kaczmarz: one row after the other."""

from .._core.declarations import Products, Storage
from .._core.options import Relaxation
from ._registry import solver
from ._row_actions import (
    Order,
    RowActions,
    check_order,
    row_sweeps,
    sweep_order,
)


@solver(
    "kaczmarz",
    needs_rows=True,
    consistent_only=True,
    start_with_damp=False,
    rate="rows",
    storage=Storage(m=4, n=3, shared_m=3, damped_m=2, counts_products=True),
    products=Products(besides="the sweep"),
    by_setting={
        ("order", "random"): {"limits": ()},
        ("symmetric", True): {
            "limits": (
                "damped over",
                "damped over, two channels",
                "damped 3-D",
                "damped strided",
                "damped groups",
                "damped torus",
            )
        },
    },
    variants={
        "symmetric": {"symmetric": True, "relaxation": 1.3},
        "random": {"order": "random"},
    },
    # in order, what is outside the range of A leaves at a rate of damp^2
    limits=("damped over", "damped 3-D", "damped torus"),
)
def kaczmarz(
    problem,
    monitor,
    *,
    relaxation: Relaxation = 1.0,
    symmetric: bool = False,
    order: Order = "cyclic",
):
    r"""Kaczmarz's method (ART).

    The classical row-action method, for consistent data or with `damp`. On a
    convolution, ``order="multicolor"`` is several times faster than the other orders.

    Parameters
    ----------
    relaxation : float
        Between 0 and 2. With 1 a step is the projection onto the hyperplane of a row.
    symmetric : bool
        Whether each sweep also goes back again.
    order : {"cyclic", "random", "multicolor"}
        The order of the rows in a sweep: by number, a new permutation for every sweep
        (from `rng`), or, for convolutions, the filters of one output pixel after the
        other, where pixels that share no sample take their steps at the same time, on
        several threads and in vectors.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        No keys of its own.

    Raises
    ------
    ValueError
        If `order` is "multicolor" and the operator no convolution.

    Notes
    -----
    A step with row :math:`a_i` is [1]_

    .. math::

        x \leftarrow x + \mathrm{relaxation}\,
        \frac{b_i - a_i x}{\|a_i\|^2}\, a_i^H ,

    and an iteration is a sweep over all rows.

    - *Cost:* a sweep has as many multiplications as two products, with `symmetric` as
      four. One product with A and one with :math:`A^H` follow it for the stopping test.
    - *Storage:* four vectors of length m and three of length n, beside b and x. A dense
      matrix is copied to sparse form.
    - *Convergence:* linear on consistent data, at a rate that depends on the order. The
      error of x falls in every step. The history holds the norm of the residual.
    - *Inconsistent systems:* the sweeps end in a cycle near to a least-squares
      solution. The method ends with the status STALLED when the residual falls by less
      than 1 % in 100 sweeps; `rek` and `gauss-seidel` take such data.
    - *Singular systems:* x converges to the solution of least norm, or to the one
      nearest to x0.
    - *Damping:* the rows are those of :math:`[A, \mathrm{damp}\, I]`, a consistent
      system, and x converges to the damped solution, slowly where `damp` is small. The
      sweeps start at zero then, and x0 makes no difference.

    References
    ----------
    .. [1] S. Kaczmarz, "Angenäherte Auflösung von Systemen linearer Gleichungen",
       Bulletin International de l'Académie Polonaise des Sciences et des Lettres A 35
       (1937), 355-357.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "kaczmarz", order="multicolor", rtol=1e-8)
    >>> result.success, bool(np.allclose(result.x, x, atol=1e-6))
    (True, True)
    """
    check_order(order, problem.op)
    rows = RowActions(problem, relaxation)
    following = sweep_order(rows, order, problem.shape[0], problem.rng)
    return row_sweeps(problem, monitor, rows, following, symmetric=symmetric)
