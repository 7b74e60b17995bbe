"""The normal equations of a layer, solved for any right-hand side."""

from __future__ import annotations

import functools
import time

import numpy as np

from .._closed_forms.by_frequency import normal_inverse
from .._closed_forms.forms import closed_form
from .._core.adapted_calls import adapts
from .._core.arrays import namespace, placement, to_numpy, working_dtype
from .._core.errors import MemoryLimit, Singular
from .._core.result import OnFailure, Result, Status, check_on_failure, deliver
from .._core.typing import AnyArray, ArrayInput, OperatorInput
from .._core.validation import number
from .._inverse.gram_inverse import side_of
from ..operators._base import ShapedOperator
from ..operators._batches import batch_of
from ..operators._foreign import as_operator
from ..operators._polyphase import Polyphase
from .auto import exact_choices, prepare
from .front import solve

REFINEMENTS = 20  # at most
INSIDE = 3  # refinements of an inverse that is applied twice, or divided by damp^2
FLOOR = 4 * 2.0**-52  # rounding, in units of ||N|| ||v||, that a residual may keep
POWER = 16  # binary exponents of kernels that are left as they are


@adapts("g", side="input")
def normal_solve(
    op: OperatorInput,
    g: ArrayInput,
    damp: float = 0.0,
    *,
    rtol: float = 1e-8,
    on_failure: OnFailure = "warn",
) -> AnyArray:
    """Solve ``(A^H A + damp^2 I) v = g``, by the exact inverses where there are any.

    Gradients through `solve` are made of it: with ``x = solve(op, b, damp=damp).x`` and
    the gradient g of a loss by x, that by b is ``A v``.

    Parameters
    ----------
    op : ConvLinearOperator, its adjoint, or what else `convinv.solve` takes
        The operator ``A`` of shape ``(m, n)``.
    g : array_like, shape (n,), op.input_shape or (..., *op.input_shape)
        One right-hand side or a batch. Where a shape can be read in two ways, the
        shaped reading wins. It is not modified.
    damp : float
        Where it is 0 and A has no full column rank, v is ``(A^H A)^+ g``.
    rtol : float
        ``||g - (A^H A + damp^2) v|| <= rtol ||g||`` is asked for, in double precision
        and but for rounding; without full column rank, of the parts in the row space.
    on_failure : {"warn", "raise", "ignore"}
        What to do where `rtol` is not reached, as in `convinv.solve`.

    Returns
    -------
    array
        Of the shape of `g`, in ``result_type(op, g)``, of g's library.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or shape, or `g` holds NaN or infinity.
    ConvergenceError
        If `rtol` is not reached, with ``on_failure="raise"``.

    Warns
    -----
    ConvergenceWarning
        If `rtol` is not reached.

    Notes
    -----
    Layers take what `convinv.solve` would take, with the same set-ups, which are kept
    with the operator: one matrix per frequency on a torus, else the block Cholesky
    factor or a bordered circulant, refined in double precision. That costs an
    application and two products for each refinement, of which there are one or two.
    Where there is no such inverse, conjugate gradients (with `damp`) or two
    least-squares solves, ``A^+ (A^H)^+ g``, take over.

    Examples
    --------
    >>> import numpy as np
    >>> import convinv
    >>> kernel = np.random.default_rng(0).standard_normal((8, 3, 3, 3))
    >>> op = convinv.ConvLinearOperator(kernel, (3, 12, 12))
    >>> g = np.ones((5, 3, 12, 12))
    >>> v = convinv.normal_solve(op, g, damp=0.1)
    >>> bool(np.allclose(op.adjoint(op.forward(v)) + 0.01 * v, g))
    True
    """
    check_on_failure(on_failure)
    result = normal_result(op, g, damp, rtol=rtol)
    return deliver(result, on_failure, stacklevel=3).x


def normal_result(op, g, damp=0.0, *, rtol=1e-8) -> Result:
    """What `normal_solve` finds.

    ``extra["left"]`` has ``||g - N v|| / ||g||`` of each right-hand side, up to factors
    of about 1: much more than `rtol` where g is not in the row space.
    """
    started = time.perf_counter()
    op = as_operator(op)
    damp, rtol = number(damp, "damp"), number(rtol, "rtol")
    if not op.has_adjoint:
        raise TypeError("normal_solve needs the adjoint of op, and op has no rmatvec")
    g = _checked(op, g)
    dtype = np.result_type(op.dtype, working_dtype(g.dtype, "g"))
    problem = _Normal(op, damp, dtype, g.reshape((-1, op.shape[1])), rtol)
    v, good = problem.solved()
    return Result(
        x=v.astype(dtype).reshape(g.shape),
        success=bool(good.all()),
        status=Status.CONVERGED if good.all() else Status.STALLED,
        message=f"{np.sum(~good)} of {len(good)} right-hand sides do not reach "
        f"rtol={rtol:g}; raise damp or rtol",
        nit=0,
        history=np.empty(0),
        method="normal_solve",
        seconds=time.perf_counter() - started,
        extra={"left": problem.left},
    )


def _checked(op, g):
    """g as an array of the operator's library."""
    g = op.own_array(g, "g")
    shape, n = tuple(op.input_shape), op.shape[1]
    if g.shape[max(g.ndim - len(shape), 0) :] != shape and g.shape != (n,):
        raise ValueError(
            f"g must have shape ({n},), {shape} or (..., {str(shape)[1:-1]}), "
            f"got {g.shape}"
        )
    if 0 in g.shape:
        raise ValueError(f"g holds no vector: its shape is {g.shape}")
    xp = namespace(g)
    if not bool(xp.all(xp.isfinite(g))):
        raise ValueError("g holds NaN or infinity")
    return g


class _Normal:
    """One problem, with kernel and right-hand sides scaled by powers of two."""

    def __init__(self, op, damp, dtype, g, rtol):
        self.xp, self.rtol = namespace(g), rtol
        self.power = 0
        self.norm = 0.0  # of A, at most; `size` is that of N
        self.is_layer = op.layer is not None
        if self.is_layer:
            op = op.astype(dtype)
            self.power = _power(to_numpy(op.xp.max(op.xp.abs(op.kernel))), POWER)
            if self.power:
                half = -self.power // 2
                op = op.scaled(2.0**half).scaled(2.0 ** (-self.power - half))
            self.norm = float(to_numpy(op.xp.sum(op.xp.abs(op.kernel))))
        self.op, self.damp = op, float(np.ldexp(damp, -self.power))
        self.size = self.norm**2 + self.damp**2
        self.wide = np.result_type(dtype, np.float64)
        peaks = to_numpy(self.xp.max(self.xp.abs(g), axis=1)).astype(float)
        self.powers = np.array([_power(peak, 0) for peak in peaks])
        self.g = self._times(g.astype(self.wide), -self.powers)
        self.left = np.zeros(len(g))  # of each item of g, over its norm
        # the part of g outside the row space is left alone
        self.inside = not damp and op.shape[0] < op.shape[1]

    def _times(self, array, powers):
        for part in (powers // 2, powers - powers // 2):
            factor = self.xp.asarray(np.ldexp(1.0, part), **placement(array))
            array = array * factor[:, None]
        return array

    def solved(self):
        """v in the user's units, and which items reach the tolerance."""
        v, good = self._exactly()
        if not good.all():
            rest = np.flatnonzero(~good)
            self.inside = not self.damp  # A may have no full column rank
            other, found = self._without_inverse(rest)
            better = np.ones(len(rest), bool)
            if v is not None:
                better = found < self._measure(v[rest], rest)
                v[rest[better]] = other[better]
            else:
                v = other
            good[rest[better]] = found[better] <= 1
        return self._times(v, self.powers - 2 * self.power), good

    def _exactly(self):
        """v by an exact inverse, refined; None without one."""
        v, good = None, np.zeros(len(self.g), bool)
        for apply in self._inverses() if self.is_layer else ():
            v, far = self._refined(apply)
            good = far <= 1
            if good.all():
                break
        return v, good

    def _refined(self, apply):
        """v by an inverse of N, and its measure."""
        v = apply(self.g)
        far = self._measure(v)
        for _ in range(REFINEMENTS):
            if (far <= 1).all():
                break
            new = v + apply(self._residual(v))
            found = self._measure(new)
            nearer = found < far
            keep = self.xp.asarray(nearer)[:, None]
            v = self.xp.where(keep, new, v)
            progress = bool((found < far / 2).any())
            far = np.where(nearer, found, far)
            if not progress:
                break
        return v, far

    def _inverses(self):
        """Functions that apply an inverse of N: one, or a coarse one before it."""
        op, damp = self.op, self.damp
        if Polyphase(op.layer.geometry).is_torus:
            key = ("spectral normal", self.wide, damp)
            wide = op.astype(self.wide)
            form = closed_form(wide)
            inverse = op.cached(key, lambda: normal_inverse(form.blocks(), damp))
            self.inside |= not damp and inverse.zeros > 0
            yield inverse.apply
            return
        single = op.dtype.itemsize < self.wide.itemsize
        rtol = self.rtol if single else None
        left = 1 + single
        for choice in exact_choices(op, damp=damp, batch=len(self.g), rtol=rtol):
            try:
                inverse = prepare(op, damp, choice)
            except (MemoryLimit, Singular):
                continue
            self.size = inverse.gram.bound + damp**2
            yield functools.partial(self._corrected, inverse)
            left -= 1
            if not left:
                return

    def _corrected(self, inverse, r):
        """``(A^H A + damp^2)^-1 r`` by the inverse of either Gram matrix."""

        def solved(v):
            return inverse.solve(v.astype(inverse.inner.dtype)).astype(self.wide)

        def refined(v):
            u = solved(v)
            for _ in range(INSIDE):
                product = self._forward(self._backward(u)) + self.damp**2 * u
                u = u + solved(v - product)
            return u

        if side_of(self.op) == "input":
            return solved(r)
        u = refined(self._forward(r))
        if self.damp:
            return (r - self._backward(u)) / self.damp**2
        return self._backward(refined(u))

    def _forward(self, v):
        y = self.op.apply(v.reshape((len(v), *self.op.input_shape)))
        return self.xp.ascontiguousarray(y.reshape((len(v), -1)))

    def _backward(self, y):
        v = self.op.apply_adjoint(y.reshape((len(y), *self.op.output_shape)))
        return self.xp.ascontiguousarray(v.reshape((len(y), -1)))

    def _residual(self, v, items=slice(None)):
        return self.g[items] - self._backward(self._forward(v)) - self.damp**2 * v

    def _measure(self, v, items=slice(None)):
        """The residual over the allowed one, per item; at most 1 is a success."""
        residual, g = self._residual(v, items), self.g[items]
        norms, sizes = self._norms(residual), self._norms(g)
        self.left[items] = _ratio(norms, sizes)
        rounding = FLOOR * self.size * self._norms(v)
        if self.inside:
            # of a g that is almost all outside the row space rounding is left
            rounding = rounding * np.sqrt(self.size) + FLOOR * self.norm * sizes
            norms = self._norms(self._forward(residual))
            sizes = self._norms(self._forward(g))
        return _ratio(norms, self.rtol * sizes + rounding)

    def _norms(self, v):
        return to_numpy(self.xp.linalg.norm(v, axis=1))

    def _by_iterations(self, g, method):
        """v by two least-squares problems, or by conjugate gradients with a damp."""
        options = {"rtol": self.rtol / 10, "on_failure": "ignore"}
        if self.damp:
            matrix = NormalOperator(self.op, self.damp)
            return solve(matrix, g, "cg", **options).x
        w = solve(self.op.H, g.reshape((-1, *self.op.input_shape)), method, **options).x
        v = solve(self.op, w, method, **options).x
        return v.reshape((len(g), -1))

    def _without_inverse(self, items):
        """v where N has no inverse, with its measure.

        What "auto" takes depends on earlier solves; a layer takes the same methods
        every time and gives the same bits, which PyTorch asks of gradients.
        """
        exact = exact_choices(self.op, batch=len(items)) if self.is_layer else []
        method = exact[0].name if exact else "auto"
        v = self._by_iterations(self.g[items], method)
        far = self._measure(v, items)
        if exact and (far > 1).any():  # iterated regularization has a floor
            new = v + self._by_iterations(self._residual(v, items), "cgls")
            found = self._measure(new, items)
            v = self.xp.where(self.xp.asarray(found < far)[:, None], new, v)
            far = np.minimum(far, found)
        return v, far


class NormalOperator(ShapedOperator):
    """``A^H A + damp^2 I`` on flat vectors."""

    def __init__(self, op, damp):
        self.op, self.damp, self.xp = op, damp, op.xp
        super().__init__(op.dtype, (op.shape[1],), (op.shape[1],))

    def _apply(self, X):
        Y = self.op.apply(batch_of(X, self.op.input_shape))
        Y = self.op.apply_adjoint(batch_of(Y, self.op.output_shape))
        return Y.reshape(X.shape) + self.damp**2 * X

    _apply_adjoint = _apply


def _ratio(norms, sizes):
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(norms == 0, 0.0, norms / sizes)
    return np.where(np.isfinite(found), found, np.inf)


def _power(size, limit):
    """The binary exponent of a size if it exceeds `limit` in magnitude, else 0."""
    power = int(np.frexp(size)[1])
    return power if abs(power) > limit else 0
