"""One axis of a product by FFT: lattices of samples, and the tiles they are cut into.

With stride s, dilation d and their greatest common divisor g, output ``i`` reads the
samples ``s i + d u - before``. Outputs ``r, r + d/g, r + 2 d/g, ...`` read only one
lattice of samples, each phase of which is every ``s d/g``-th sample. There the kernel
has neither dilation nor stride, and its input channels include the phases. For every r
this is a `Lattice`, on which cell ``j`` of the outputs reads cells ``j`` to ``j + taps
- 1`` of the samples.
"""

import math
from typing import NamedTuple

import scipy.fft

# Numbers of tiles per lattice that are tried, and the fewest outputs of a tile.
COUNTS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128)
SHORTEST = 8


class Copy(NamedTuple):
    """Cells ``cells`` of a channel phase, and their places in the array."""

    phase: int
    places: slice
    cells: slice


class Tile(NamedTuple):
    """The part that is read into a torus, and the part taken from the result."""

    reads: list
    given: int  # cells that are read, from cell 0 on; zeros behind
    wanted: slice  # cells of the result
    writes: list


class Lattice(NamedTuple):
    """Cells of outputs and the samples that they depend on.

    Output cell ``i`` reads sample cells ``i - lead`` to ``i - lead + taps - 1``; cells
    that do not exist are zero.
    """

    outputs: int
    samples: int
    lead: int
    taps: int
    first: int  # output of cell 0
    output_step: int
    phases: tuple  # per phase (sample of cell 0, first cell, last cell + 1)
    sample_step: int

    @property
    def torus(self):
        """Length of the shortest torus for the whole lattice."""
        trail = self.outputs - 1 - self.lead + self.taps - self.samples
        return self.samples + max(self.lead, trail)

    def output_copies(self, start, stop):
        return [_copy(0, self.first, self.output_step, start, stop, start)]

    def sample_copies(self, start, stop):
        copies = []
        for phase, (sample, first, last) in enumerate(self.phases):
            low, high = max(start, first), min(stop, last)
            if low < high:
                copies.append(_copy(phase, sample, self.sample_step, low, high, start))
        return copies


def _copy(phase, first, step, start, stop, origin):
    places = slice(first + step * start, first + step * (stop - 1) + 1, step)
    return Copy(phase, places, slice(start - origin, stop - origin))


class Axis:
    """The lattices of an axis.

    Parameters
    ----------
    length : int
        Samples, including those of the padding if they are in the array.
    outputs, taps, stride, dilation : int
    before : int
        Zeros before the first sample that are not in the array.
    ring : bool
        Whether the axis is a ring of `length` samples and as many outputs.

    Attributes
    ----------
    phases : int
        Phases of the samples, which become channels.
    lattices : list of Lattice
        Those with nonzero outputs. A ring is one lattice, on which taps wrap around.
    """

    def __init__(self, length, outputs, taps, stride, dilation, before, ring=False):
        if taps == 1:
            dilation = stride  # no effect on the result, but one lattice
        self.length, self.outputs, self.kernel = length, outputs, taps
        self.stride, self.dilation, self.before = stride, dilation, before
        self.ring = ring
        if ring:
            every = Lattice(length, length, 0, 1, 0, 1, ((0, 0, length),), 1)
            self.step, self.phases, self.lattices = 1, 1, [every]
            return
        common = math.gcd(stride, dilation)
        self.step = stride // common  # of the outputs of a lattice, in samples of it
        self.phases = min(self.step, taps)
        self.taps = -(-taps // self.step)  # of a phase
        found = [self._lattice(r) for r in range(dilation // common)]
        self.lattices = [lattice for lattice in found if lattice]

    def _lattice(self, r):
        """The lattice from output r on; None if its outputs are all zero."""
        spread = self.dilation * self.step // self.stride
        reach = self.dilation * self.step
        count = max(-(-(self.outputs - r) // spread), 0)
        bases = [
            self.stride * r + self.dilation * phase - self.before
            for phase in range(self.phases)
        ]
        spans = []  # the cells of each phase that are samples
        for base in bases:
            low = max(-(base // reach), 0)
            spans.append((low, max(low, -((base - self.length) // reach))))
        low, high = min(a for a, _ in spans), max(b for _, b in spans)
        start, stop = max(0, low - self.taps + 1), min(count, high)
        low, high = max(low, start), min(high, stop - 1 + self.taps)
        if start >= stop or low >= high:
            return None
        phases = tuple(
            (base + reach * low, a - low, b - low) for base, (a, b) in zip(bases, spans)
        )
        return Lattice(
            stop - start, high - low, low - start, self.taps, r + spread * start,
            spread, phases, reach,
        )  # fmt: skip

    @property
    def whole(self):
        """Length of the shortest torus that needs no tiles."""
        if self.ring:
            return self.length
        return max((lattice.torus for lattice in self.lattices), default=1)

    def lengths(self, even):
        """(length, tiles): candidate tori, and the number of tiles that each needs."""
        if self.ring or not self.lattices:
            return [(self.whole, 1)]
        lengths = {fast_length(self.whole, even)}
        most = max(max(x.outputs, x.samples) for x in self.lattices)
        for count in COUNTS:
            core = -(-most // count)
            if 3 * core < self.taps or core < SHORTEST:
                break
            lengths.add(fast_length(core + self.taps - 1, even))
        return [(length, self.tiles_of(length)) for length in sorted(lengths)]

    def tiles_of(self, torus):
        """Tiles of a product, the mean of both directions."""
        needed = 0
        for x in self.lattices:
            core = torus - x.taps + 1
            for cells in (x.outputs, x.samples):
                needed += 1 if torus >= x.torus else -(-cells // core)
        return needed / 2

    def anchor(self, adjoint):
        """The place on the torus where the taps of a normal axis start."""
        leads = [x.taps - 1 - x.lead if adjoint else x.lead for x in self.lattices]
        return max(leads, default=0)

    def positions(self, torus, adjoint):
        """(phase, position on the torus) of every tap."""
        if self.ring:
            places = [self.before - self.dilation * u for u in range(self.kernel)]
            return [(0, (-p if adjoint else p) % torus) for p in places]
        anchor = self.anchor(adjoint)
        places = []
        for u in range(self.kernel):
            tap = u // self.step
            tap = self.taps - 1 - tap if adjoint else tap
            places.append((u % self.step, (anchor - tap) % torus))
        return places

    def tiles(self, torus, adjoint):
        """The tiles of one direction, on a torus of this length."""
        if self.ring:
            every = [Copy(0, slice(0, self.length), slice(0, self.length))]
            return [Tile(every, self.length, slice(0, self.length), every)]
        anchor, tiles = self.anchor(adjoint), []
        for x in self.lattices:
            count, given = x.outputs, x.samples
            reads, writes, lead = x.sample_copies, x.output_copies, x.lead
            if adjoint:
                count, given, reads, writes = given, count, writes, reads
                lead = x.taps - 1 - lead
            core = count if torus >= x.torus else torus - x.taps + 1
            for start in range(0, count, core):
                stop = min(start + core, count)
                low = max(start - lead, 0)
                high = min(stop - lead + x.taps - 1, given)
                cell = start - lead + anchor - low
                tiles.append(
                    Tile(
                        reads(low, high), high - low,
                        slice(cell, cell + stop - start), writes(start, stop),
                    )
                )  # fmt: skip
        return tiles

    def rows(self, size, adjoint):
        """The tiles of an axis with one tap: up to `size` cells, unchanged."""
        tiles = []
        for x in self.lattices:
            reads, writes = x.sample_copies, x.output_copies
            if adjoint:
                reads, writes = writes, reads
            for start in range(0, x.outputs, size):
                stop = min(start + size, x.outputs)
                cells = slice(0, stop - start)
                tiles.append(
                    Tile(reads(start, stop), stop - start, cells, writes(start, stop))
                )
        return tiles


def fast_length(n, even):
    """The next length for which FFTs are fast."""
    if even:
        return 2 * scipy.fft.next_fast_len(-(-n // 2))
    return scipy.fft.next_fast_len(n)
