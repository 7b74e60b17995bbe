"""The step of a splitting that fits the data, by the cheapest way that an operator has.

It minimizes over x ``||A x - b||^2 / 2 + sum_i rho_i / 2 ||L_i x - z_i + u_i||^2``.
Each class has its `domain`, ``begin()`` and ``solve(terms, x)``, which return x,
``update(relax)`` for copies of its own, and `unit`, the size of ``A^H A``.
"""

import math

import numpy as np

from .._closed_forms.cosine import cosine_type
from ..operators._polyphase import Polyphase
from ._frequencies import Cosines, Waves
from ._frequency_steps import ExactStep
from ._gradient_step import GradientStep
from ._layered_data import fit_together, parts_of
from ._torus_step import TorusStep


def choose(problem, priors):
    """The step for an operator and priors."""
    op, batch = problem.op, math.prod(problem.batch)
    parts = parts_of(op, problem.b.reshape((batch, *op.output_shape)))
    if parts is None or not fit_together(parts):
        return GradientStep(problem)
    g = parts[0].layer.geometry
    plain = problem.shape == (*problem.batch, *g.input_shape)
    if not plain or not all(_commutes(p, problem, g.ndim) for p in priors):
        return GradientStep(problem)
    if not op.is_convolution:
        return TorusStep(problem, parts)
    if (cosine_type(op) or (0,))[0] == 2:
        return ExactStep(problem, Cosines(g.input, problem.xp, problem.real))
    if Polyphase(g).is_torus and math.prod(g.stride) == 1:
        return ExactStep(problem, Waves(g.input, problem.xp, problem.dtype))
    return TorusStep(problem, parts)


def _commutes(prior, problem, spatial):
    """Whether a prior is on x itself, or on differences along spatial axes."""
    axes = getattr(prior, "axes", ())
    if hasattr(prior, "operator"):
        return False
    axes = (axes,) if isinstance(axes, (int, np.integer)) else axes
    ndim = len(problem.shape)
    return all(axis % ndim >= ndim - spatial for axis in axes)
