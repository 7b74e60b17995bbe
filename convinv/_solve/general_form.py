"""General-form Tikhonov regularization: penalties, priors and weights of the data.

What `solve` minimizes with them is plain least squares of other operators and data,

    ||W^(1/2) (A x - b)||^2 + damp^2 ||L (x - prior)||^2
        = || [W^(1/2) A; damp L] d - [W^(1/2) (b - A prior); 0] ||^2,   x = prior + d .
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .._core.arrays import namespace, placement, to_numpy
from .._core.validation import number
from .._problem.batch import Layout
from .._regularize import damp_rule
from ..operators._base import ShapedOperator
from ..operators._stacked import StackedOperator
from .bounds import limits
from .outcome import merged
from .penalties import damps, is_identity, regularizers
from .weight_rule import choose_weight
from .weights import Weights, weighted


def mean_field(op, b):
    """The image of constant channels nearest to the data, ``(B, n)``."""
    xp, channels = namespace(b), op.input_shape[0]
    flat = len(op.input_shape) < 2
    count = 1 if flat else channels
    fields = xp.zeros((count, *op.input_shape), dtype=b.dtype, **placement(b))
    for c in range(count):
        fields[(c, ...) if flat else (c, c)] = 1
    images = to_numpy(op.apply(fields).reshape((count, -1)))
    found = np.linalg.lstsq(images.T, to_numpy(b).T, rcond=None)[0].T
    found = xp.asarray(found.astype(np.dtype(b.dtype)), **placement(b))
    return (found @ fields.reshape((count, -1))).reshape((b.shape[0], -1))


def _product(op, x):
    """``A x`` of flat vectors ``(B, n)``."""
    return op.apply(x.reshape((len(x), *op.input_shape))).reshape((len(x), -1))


def _names(regularizer):
    """What tells penalties from others as long as they live; None of arrays."""
    several = isinstance(regularizer, (list, tuple))
    found = tuple(regularizer) if several else (regularizer,)
    known = all(isinstance(one, (str, ShapedOperator)) for one in found)
    return found if known else None


class GeneralForm:
    """The plain least-squares problem of a call with penalties, prior or weights.

    Attributes
    ----------
    layout : Layout
        Of the user's op, and of b without entries that do not count.
    penalties : list of ShapedOperator
        Empty where `damp` weights x itself.
    data : array, shape (B, m)
        ``W^(1/2) (b - A prior)``.
    """

    def __init__(self, op, data, x0, columns, regularizer, prior):
        self.op, self.weights, self._named = op, data.weights, _names(regularizer)
        self.layout = layout = Layout(op, data.b, x0, columns)
        plain = is_identity(regularizer)
        self.penalties = [] if plain else regularizers(regularizer, op)
        self.base = weighted(op, data.weights)
        b = layout.b
        if data.weights is not None:
            root = layout.xp.sqrt(data.weights.reshape((1, -1)))
            b = b * root.astype(np.empty(0, b.dtype).real.dtype)
        self.prior = self._prior(prior, b)
        if self.prior is not None:
            b = b - _product(self.base, self.prior)
        self.data = b.astype(layout.kind, copy=False)

    def _prior(self, prior, b):
        """The prior as ``(1 or B, n)``, None for zero."""
        layout, n = self.layout, self.op.shape[1]
        if prior is None:
            return None
        if isinstance(prior, str):
            if prior != "mean":
                raise ValueError(f"prior must be 'mean' or an array, got {prior!r}")
            return mean_field(self.base, b)
        own = Layout(self.op, layout.b.reshape((-1, *self.op.output_shape)), prior)
        shape = tuple(np.shape(prior))
        if shape in (tuple(self.op.input_shape), (n,)):
            return own.x0[:1]
        return own.x0

    def stack(self, damps):
        """The operator of the plain problem, and its damp."""
        if not self.penalties:
            return self.base, damps[0]
        if self._named is None or self.weights is not None or not self.op.convolutions:
            return self._stacked(self.base, damps), 0.0
        # what is set up for the stack is kept with it, and serves the next call
        key = "general form", self._named, tuple(damps)
        return self.op.cached(key, lambda: self._stacked(self.op.bare(), damps)), 0.0

    def _stacked(self, base, damps):
        scaled = [op.scaled(damp) for op, damp in zip(self.penalties, damps) if damp]
        return StackedOperator([base, *scaled])

    def plain(self, op):
        """The layout of the plain problem."""
        layout, xp = self.layout, self.layout.xp
        b, x0 = self.data, layout.x0
        more = op.shape[0] - b.shape[1]
        if more:
            zeros = xp.zeros((len(b), more), dtype=b.dtype, **placement(b))
            b = xp.concat([b, zeros], axis=1)
        if x0 is not None and self.prior is not None:
            x0 = x0 - self.prior
        b = b.reshape((len(b), *op.output_shape))
        x0 = None if x0 is None else x0.reshape((len(x0), *op.input_shape))
        return Layout(op, b, x0, False)

    def bounds(self, bounds):
        """The user's bounds on x as those on ``x - prior``, ``(B, *input_shape)``."""
        found = limits(bounds, self.layout)
        if self.prior is not None:
            found = tuple(end - self.prior for end in found)
        elif found[0].shape[1] == found[1].shape[1] == 1:
            return bounds
        n, shape = self.op.shape[1], (-1, *self.op.input_shape)
        xp = self.layout.xp
        return tuple(
            xp.reshape(xp.broadcast_to(end, (len(end), n)), shape) for end in found
        )

    def finish(self, outcome, damps):
        """An outcome of the plain problem as one of the user's, in place."""
        layout, xp, d = self.layout, self.layout.xp, outcome.x
        outcome.residual = self._norms(self.data - _product(self.base, d))
        if self.penalties:
            norms = [
                layout.items(self._norms(_product(op, d))) for op in self.penalties
            ]
            outcome.notes["penalty_norm"] = norms if len(norms) > 1 else norms[0]
            outcome.notes.setdefault("damp", damps if len(damps) > 1 else damps[0])
        if self.prior is not None:
            outcome.x = xp.astype(d + self.prior, layout.kind, copy=False)
        return outcome

    def left(self, outcome, unit):
        """Residuals of weighted data and the norm that the penalties weight.

        Both are in units of two to the power of `unit`, on the host.
        """
        d = outcome.x
        r = to_numpy(self.data - _product(self.base, d)) * 2.0**-unit
        seen = [_product(op, d) for op in self.penalties] or [d]
        squares = [np.sum(self._norms(part) ** 2) for part in seen]
        return r, float(np.sqrt(sum(squares))) * 2.0**-unit

    def _norms(self, batch):
        """The norm of each item, on the host."""
        return np.linalg.norm(to_numpy(batch), axis=1)

    def callback(self, callback):
        """The user's callback, which sees x in place of d and in the user's shape."""
        if callback is None:
            return None
        return lambda state: callback(_State(self, state))


class _State:
    """The state of the plain problem as the user's callback sees it."""

    def __init__(self, form, state):
        self._form, self._state = form, state
        self.nit = state.nit

    @property
    def x(self):
        form = self._form
        x = self._state.x
        x = x.reshape((form.layout.batch, -1))
        if form.prior is not None:
            x = x + form.prior
        return form.layout.restore(x)

    @property
    def residual_norm(self):
        return self._form.layout.items(np.atleast_1d(self._state.residual_norm))


class GeneralCall:
    """A call of `solve` with a penalty, a prior or weights.

    Parameters
    ----------
    request : Request
    op : ShapedOperator
    regularizer, prior, damp, noise_level
        As `solve` takes them.
    """

    def __init__(self, request, op, regularizer, prior, damp, noise_level):
        self.request, self.op = request, op
        self.regularizer, self.prior = regularizer, prior
        self.damp, self.noise_level = damp, noise_level

    def outcome(self, data, x0, columns, callback, progress):
        """``(layout, outcome)`` for weighted data."""
        if self.request.entry(self.op, False).objective != "least-squares":
            self._refuse_penalties()
            layout = Layout(self.op, data.b, x0, columns)
            task = self.request.task(self.op, layout, 0.0, None, 0, data.weights)
            return layout, task.outcome(callback, progress)
        weights, shape = data.weights, tuple(self.op.output_shape)
        common = weights is None or weights.shape in (shape, (self.op.shape[0],))
        if common:
            return self._outcome(data, x0, columns, callback, progress)
        return self._one_by_one(data, x0, columns, callback, progress)

    def _refuse_penalties(self):
        """Raise for what only least squares have."""
        for name in ("regularizer", "prior"):
            value = getattr(self, name)
            if not (value is None or name == "regularizer" and is_identity(value)):
                raise ValueError(
                    f"method {self.request.method!r} takes no {name}, got {value!r}; "
                    "its options are its own"
                )
        if self.damp:
            self.request.entry(self.op, True)  # says what takes a damp

    def _outcome(self, data, x0, columns, callback, progress):
        form = GeneralForm(self.op, data, x0, columns, self.regularizer, self.prior)
        rule = damp_rule.rule(self.damp, self.noise_level, form.base)
        found, choice = self._damps(form), None
        if rule is not None:
            choice = choose_weight(rule, form, self.request)
            found = [choice.damp] * max(len(form.penalties), 1)
        op, damp = form.stack(found)
        request = self.request
        if request.bounds is not None:
            request = replace(request, bounds=form.bounds(request.bounds))
        task = request.task(op, form.plain(op), damp, None, 0)
        outcome = task.outcome(form.callback(callback), progress)
        if choice is not None:
            choice.annotate(outcome.notes)
        return form.layout, form.finish(outcome, found)

    def _damps(self, form):
        """The weights of the penalties; 0 where a rule is to choose them."""
        if isinstance(self.damp, str):
            return [0.0]
        if form.penalties:
            return damps(self.damp, form.penalties)
        return [number(self.damp, "damp")]

    def _one_by_one(self, data, x0, columns, callback, progress):
        """Items with weights of their own are problems of their own."""
        layout = Layout(self.op, data.b, x0, columns)
        weights = data.weights.reshape((layout.batch, *self.op.output_shape))
        outcomes, bounds = [], self.request.bounds
        if bounds is not None and layout.batch > 1:
            limits(bounds, layout)
            if any(np.size(end) > 1 for end in bounds if end is not None):
                raise ValueError(
                    "bounds must be numbers where the weights of a batch differ from "
                    "item to item, got arrays; solve the items one by one"
                )
        for i in range(layout.batch):
            b = layout.b[i].reshape(self.op.output_shape)
            start = None if layout.x0 is None else layout.x0[i]
            one = Weights(weights[i], b)
            outcomes.append(self._outcome(one, start, None, callback, progress)[1])
        x = layout.xp.concat([found.x for found in outcomes], axis=0)
        return layout, merged(outcomes, x)


def is_general(b, regularizer, prior, weights, mask) -> bool:
    """Whether a call asks for more than least squares with damping of x."""
    masked = isinstance(b, np.ma.MaskedArray) and np.ma.is_masked(b)
    given = any(argument is not None for argument in (prior, weights, mask))
    return masked or given or not is_identity(regularizer)
