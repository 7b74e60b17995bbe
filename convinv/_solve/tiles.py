"""One image that is too large for the memory there is, solved in tiles."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from .._core.arrays import namespace, placement, working_dtype
from .._core.result import Status
from .._files import cached_chunks
from .._tiles import ArrayDriver, Iterated, TilePlan, iterate, read, tiles_at_once
from ..operators._convolution import ConvLinearOperator
from ..operators._stacked import StackedOperator
from .memory import MemoryEstimate
from .outcome import Outcome, merged
from .penalties import damps, is_identity, regularizers
from .task import progress_bar

# The normal residual that sweeps aim at: in double precision that of exact methods, in
# single precision in units of the tolerance.
TIGHT, SHARE = 1e-11, 0.2
CHUNKS = 0.5, 0.25  # parts of the memory for chunks of the data: at most, and else
MOST = 1000  # sweeps or iterations by default
MEMORY = 2**30  # bytes that tiles may take where nothing else is said
SCRATCH = 0.25  # of the memory, the part that an array like x may take without a file
SAMPLES, SAMPLE = 5, (4096, 256, 48)  # windows for rules, and their size by axes


class TiledProblem:
    """A call of `solve` on images that are cut into tiles.

    Parameters
    ----------
    op : ConvLinearOperator or StackedOperator of these
    regularizer, damp
        As `solve` takes them; `damp` is no rule.
    rtol : float

    Attributes
    ----------
    op : ConvLinearOperator or StackedOperator
        With the penalties.
    damp : float
        Of x itself.
    weights : list of float
        Of the penalties.
    """

    def __init__(self, op, regularizer, damp, rtol):
        self.data_op, self.rtol = op, rtol
        self.weights = []
        self.op, self.damp = op, damp
        if not is_identity(regularizer):
            penalties = regularizers(regularizer, op)
            _refuse_others(penalties)
            self.weights = damps(damp, penalties)
            scaled = [p.scaled(w) for p, w in zip(penalties, self.weights) if w]
            self.op, self.damp = StackedOperator([op, *scaled]), 0.0

    def plan(
        self, dtype, *, memory=None, tile=None, halo=None, batch=1, units=None
    ) -> TilePlan:
        """The tiles of one image, in the precision of `dtype`."""
        dtype = np.dtype(dtype)
        double = dtype == np.result_type(dtype, np.float64)
        return TilePlan(
            self.op.astype(dtype),
            self.damp,
            dtype=dtype,
            batch=batch,
            tile=tile,
            halo=halo,
            memory=memory,
            rtol=min(self.rtol, TIGHT) if double else SHARE * self.rtol,
            units=units,
        )

    def outcome(self, plan: TilePlan, found: Iterated, x: Any) -> Outcome:
        """What `iterate` has found as an outcome of `solve`, in the user's units."""
        units, norms = plan.units, found.norms
        residual = units.unscale_residual_norm(np.sqrt(norms.residual))
        normal = units.unscale_normal_norm(np.sqrt(norms.normal))
        history = np.array(found.history).reshape((-1, plan.batch))
        return Outcome(
            x=x,
            good=found.good,
            residual=residual,
            normal=normal,
            error=np.full(plan.batch, np.nan),
            item_nit=np.full(plan.batch, len(history)),
            item_status=_statuses(found, plan.batch),
            history=units.unscale_normal_norm(history),
            watches_normal=True,
            method="tiles",
            tried=[_words(plan, found)],
            notes=self._notes(plan, norms),
        )

    def _notes(self, plan, norms):
        notes: dict[str, Any] = {
            "tiles": plan.grid,
            "tile": plan.layout.tile,
            "halo": plan.layout.halo,
        }
        if self.weights:
            roots = np.sqrt(norms.penalty)
            used = [w for w in self.weights if w]
            found = [
                plan.units.unscale_residual_norm(root) / w
                for root, w in zip(roots, used, strict=True)
            ]
            found = [norm if plan.batch > 1 else float(norm[0]) for norm in found]
            notes["damp"] = self.weights if len(self.weights) > 1 else self.weights[0]
            notes["penalty_norm"] = found if len(found) > 1 else found[0]
        return notes


def _words(plan, found):
    tiles = " x ".join(map(str, plan.grid))
    halo = " x ".join(map(str, plan.layout.halo))
    way = "conjugate gradients, preconditioned by" if found.krylov else "sweeps of"
    return f"tiles: {way} {tiles} tiles with halos of {halo} samples"


def _statuses(found, batch):
    status = found.status
    if status in (Status.STOPPED, Status.CONVERGED):
        return [status] * batch
    return [Status.CONVERGED if good else status for good in found.good]


def _refuse_others(penalties):
    for penalty in penalties:
        if not penalty.convolutions:
            raise ValueError(
                "regularizer must be 'identity', 'gradient', 'laplacian' or a kernel "
                f"where an image is solved in tiles, got {penalty!r}"
            )


class _Images:
    """The shapes of b and x, as `Layout` has them, without reading b.

    Attributes
    ----------
    dtype : dtype
        The working dtype.
    """

    def __init__(self, op, b, x0=None):
        self.xp = namespace(b)
        wanted, shape = tuple(op.output_shape), tuple(b.shape)
        self._flat = shape == (op.shape[0],) and len(wanted) > 1
        count = max(len(shape) - len(wanted), 0)
        self.batch_shape = () if self._flat else shape[:count]
        if not (self._flat or shape[count:] == wanted):
            raise ValueError(
                f"b must have shape {wanted} or (..., {str(wanted)[1:-1]}) where it is "
                f"solved in tiles, got {shape}"
            )
        self.input_shape, self.output_shape = tuple(op.input_shape), wanted
        self.batched, self.batch = self.batch_shape != (), math.prod(self.batch_shape)
        kind = np.dtype(str(b.dtype).rsplit(".", 1)[-1])
        self.dtype = np.result_type(op.dtype, working_dtype(kind, "b"))
        if x0 is not None:
            kind = np.dtype(str(x0.dtype).rsplit(".", 1)[-1])
            self.dtype = np.result_type(self.dtype, working_dtype(kind, "x0"))
        self.x_shape = (*self.batch_shape, *self.input_shape)
        if self._flat:
            self.x_shape = (op.shape[1],)
        self._x0 = x0

    def takes(self, x0) -> bool:
        """Whether a starting point is shaped like x or one item of it."""
        shape = tuple(getattr(x0, "shape", ()))
        return shape in (self.x_shape, self.input_shape) and namespace(x0) is self.xp

    def start(self, number):
        """The starting point of an image, None for zero."""
        x0 = self._x0
        if x0 is None:
            return None
        if not bool(self.xp.isfinite(x0).all()):
            raise ValueError("x0 holds NaN or infinity")
        if tuple(x0.shape) == self.input_shape:
            return x0[None]
        return self.image(x0, number, self.input_shape)

    def image(self, array, number, shape):
        """One image of an array like b or x, as ``(1, C, *spatial)``."""
        if self._flat:
            array = array.reshape(shape)
        return _Image(array, np.unravel_index(number, self.batch_shape))

    def restore(self, x):
        return x

    def items(self, values):
        return values.reshape(self.batch_shape) if self.batched else values[0].item()


class _Image:
    """An image within an array that is read and written by slices."""

    def __init__(self, array, index):
        self._array, self._index = array, tuple(int(i) for i in index)

    def _place(self, key):
        return (*self._index, slice(None), *key[1:])

    def __getitem__(self, key):
        found = self._array[self._place(key)]
        return (found if namespace(found) else np.asarray(found))[None]

    def __setitem__(self, key, values):
        self._array[self._place(key)] = values[0]


def are_needed(request, op, b, x0, damp, regularizer) -> bool:
    """Whether one image takes more than `max_memory`, and tiles can solve it.

    Data that can only be read by regions say so in an attribute ``by_regions``.
    """
    if getattr(b, "by_regions", False):
        return True
    if request.max_memory is None or request.method != "auto" or not op.convolutions:
        return False
    if isinstance(regularizer, (list, tuple)) and not regularizer:
        return False
    if request.conlim is not None:  # tiles estimate no condition number
        return False
    images = _Images(op, b) if _is_shaped(op, b) else None
    if images is None or (images.xp or np) is not op.xp:
        return False
    if not (x0 is None or images.takes(x0)):
        return False
    layout = SimpleNamespace(
        xp=op.xp,
        dtype=images.dtype,
        batch=images.batch,
        extent=(np.ones(1), np.ones(1)),
    )
    entry = request.entry(op, bool(damp))
    estimate = MemoryEstimate(op, layout, entry, {}, None, bool(damp), 0)
    copied = 0
    if images.xp is None or np.dtype(b.dtype) != images.dtype:
        copied = op.shape[0] * images.dtype.itemsize
    return estimate.sliced(1) + copied > request.max_memory


def _is_shaped(op, b):
    shape = tuple(getattr(b, "shape", ()))
    wanted = tuple(op.output_shape)
    shaped = shape[max(len(shape) - len(wanted), 0) :] == wanted
    return math.prod(shape) > 0 and (shaped or shape == (op.shape[0],))


def solved(
    request, op, b, x0, regularizer, damp, noise_level, callback, out, solve, progress
):
    """``(images, outcome)`` of a call of `solve` by tiles.

    `solve` finds the damp by a rule on windows of the data.
    """
    images = _Images(op, b, x0)
    first = images.image(b, 0, images.output_shape)
    rule = damp if isinstance(damp, str) else None
    if rule is not None:
        damp = sampled_damp(solve, op, first, regularizer, rule, noise_level)
    problem = TiledProblem(op, regularizer, damp, request.rtol)
    scratch = math.prod(images.input_shape) * images.dtype.itemsize
    limit = MEMORY if request.max_memory is None else request.max_memory
    in_file = scratch > SCRATCH * limit
    memory = limit - (0 if in_file else scratch)
    kept = _chunks_to_keep(b, len(images.output_shape) - 1, memory)
    b = cached_chunks(b, kept)
    chunks = getattr(out, "chunks", None)
    units = tuple(chunks[1 - len(images.output_shape) :]) if chunks else None
    memory = (memory - kept) / tiles_at_once(op.xp)
    plan = problem.plan(images.dtype, memory=memory, units=units)
    if out is None:
        place = placement(b) if images.xp else {}
        out = op.xp.empty(images.x_shape, dtype=images.dtype, **place)
    outcomes: list[Outcome] = []
    bar = progress_bar(progress, "tiles", plan.layout.sweeps * images.batch)
    with bar as tick:
        for number in range(images.batch):
            stopped = bool(outcomes) and outcomes[-1].item_status[0] is Status.STOPPED
            source = images.image(b, number, images.output_shape)
            target = images.image(out, number, images.input_shape)
            plan.take_units(_largest(plan, source))
            driver = ArrayDriver(target, in_file)
            found = iterate(
                plan,
                driver,
                source,
                x0=images.start(number),
                rtol=request.rtol,
                rtol_normal=request.rtol_normal,
                atol=request.atol,
                maxiter=0 if stopped else request.maxiter or MOST,
                callback=_heard(callback, tick, images, number, outcomes),
            )
            if stopped:
                found.status = Status.STOPPED
            driver.finish(plan, found.x)
            outcomes.append(problem.outcome(plan, found, op.xp.zeros((1, 0))))
    outcome = merged(outcomes, out) if images.batch > 1 else outcomes[0]
    outcome.x = out
    if rule is not None:
        outcome.notes["damp"] = damp
    return images, outcome


def _chunks_to_keep(b, axes, memory) -> float:
    """Bytes of decompressed chunks to keep, of data with so many spatial axes.

    Tiles come row by row, and a box touches three rows of chunks: with two of them kept
    each is decompressed once in a pass.
    """
    chunks = getattr(b, "chunks", None)
    if not chunks or not isinstance(chunks[-1], int):
        return 0.0
    counts = [-(-n // c) for n, c in zip(b.shape, chunks, strict=True)]
    row = math.prod(counts[b.ndim - axes + 1 :]) * counts[b.ndim - axes - 1]
    size = math.prod(chunks) * np.dtype(b.dtype).itemsize
    wanted = (2 * row + 4) * size
    return float(wanted if wanted <= CHUNKS[0] * memory else CHUNKS[1] * memory)


def _largest(plan, source):
    """About the largest magnitude in the data, from some of the tiles."""
    step = -(-len(plan.checks) // SAMPLES)
    pieces = [read(source, tile.runs("b")) for tile in plan.checks[::step]]
    return max((float(abs(piece).max()) for piece in pieces if piece.size), default=0.0)


def _heard(callback, tick, images, number, before):
    """The user's callback with a state of x in the user's shape, and the bar's."""
    done = sum(len(outcome.history) for outcome in before)

    def heard(state):
        tick(done + state.nit)
        return callback is not None and callback(_State(state, images, number, done))

    return heard


class _State:
    """What the user's callback sees: the image in work, and the number of sweeps."""

    def __init__(self, state, images, number, done):
        self._state, self._images, self._number = state, images, number
        self.nit = done + state.nit

    @property
    def x(self):
        images, x = self._images, self._state.x
        spatial = (slice(None),) * (len(images.input_shape) - 1)
        image = x[(..., *spatial)]
        if not images.batched:
            return image.reshape(images.x_shape)
        found = images.xp.zeros((images.batch, *images.input_shape), dtype=images.dtype)
        found[self._number] = image[0]
        return found.reshape(images.x_shape)

    @property
    def residual_norm(self):
        images = self._images
        norms = np.full(images.batch, np.nan)
        norms[self._number] = self._state.residual_norm[0]
        return images.items(norms)


def sampled_damp(solve, op, source, regularizer, rule, noise_level=None) -> float:
    """The damp that a rule chooses, the geometric mean of those for some windows.

    Parameters
    ----------
    solve : callable
        `convinv.solve`.
    op : ConvLinearOperator or StackedOperator
    source : array, shape (1, C_out, *spatial)
        The data, which are read in windows.
    regularizer, noise_level
        As `solve` takes them.
    rule : str
    """
    layer = op.convolutions[0]
    if len(op.convolutions) > 1:
        raise ValueError(
            f"damp must be a number for a stack of convolutions in tiles, got {rule!r}"
        )
    found = []
    for rows in windows(layer.output_shape[1:]):
        b = source[(..., *rows)][0]
        size = [
            (row.stop - row.start - 1) * s + d * (k - 1) + 1
            for row, s, d, k in zip(
                rows, layer.stride, layer.dilation, layer.kernel.shape[2:]
            )
        ]
        options = {**layer.options, "padding": 0, "boundary": "zero"}
        part = ConvLinearOperator(
            layer.kernel, (layer.input_shape[0], *size), **options
        )
        result = solve(
            part,
            b,
            regularizer=regularizer,
            damp=rule,
            noise_level=noise_level,
            on_failure="ignore",
        )
        found.append(float(np.max(result.extra["damp"])))
    positive = [damp for damp in found if damp > 0]
    return float(np.exp(np.mean(np.log(positive)))) if positive else 0.0


def windows(shape) -> list[tuple[slice, ...]]:
    """A few windows that are spread evenly over an image, along its diagonal."""
    side = SAMPLE[len(shape) - 1]
    found = []
    for number in range(SAMPLES):
        starts = [(n - min(side, n)) * number // (SAMPLES - 1) for n in shape]
        window = tuple(slice(a, a + min(side, n)) for a, n in zip(starts, shape))
        if window not in found:
            found.append(window)
    return found


def refuse_out(out, op, b) -> None:
    """Raise for an `out` that cannot take x."""
    if out is None:
        return
    count = max(len(tuple(np.shape(b))) - len(op.output_shape), 0)
    flat = tuple(np.shape(b)) == (op.shape[0],) and len(op.output_shape) > 1
    batch = () if flat else tuple(np.shape(b))[:count]
    wanted = (op.shape[1],) if flat else (*batch, *op.input_shape)
    if not hasattr(out, "__setitem__") or not hasattr(out, "shape"):
        raise TypeError(
            "out must be an array that x can be written into, a memory map or an array "
            f"of Zarr or HDF5, got {type(out).__name__}"
        )
    if tuple(out.shape) != wanted:
        raise ValueError(f"out must have the shape of x, {wanted}, got {out.shape}")
    kind = np.result_type(op.dtype, working_dtype(np.dtype(str(b.dtype)), "b"))
    if not np.can_cast(kind, np.dtype(out.dtype), "same_kind"):
        raise TypeError(
            f"out must take x of dtype {kind}, got one of dtype {out.dtype}"
        )
