"""What a sweep over tiles costs: bytes and operations of a tile, and seconds from them.

A sweep visits every tile once. For a tile of t unknowns an axis with a halo of h and a
kernel of k taps it reads the data on t + 2 h + k - 1 samples an axis and the unknowns
on t + 2 h + 2 (k - 1), works on t + 2 h, and writes t. The first sweep begins at zero
and reads no unknowns; a check after the last one, without halos, computes the residual
in double precision.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import fft, optimize

FIRST, SWEEP, CHECK = "first sweep", "sweep", "check"


class Job(NamedTuple):
    """A square image or cube of unknowns, its layer, and how it is cut."""

    side: int
    tile: int
    halo: int
    taps: int
    c_in: int = 1
    c_out: int = 1
    axes: int = 2
    itemsize: int = 4
    sweeps: int = 3
    chunk: int | None = None  # of the store, read whole

    @property
    def pixels(self):
        return self.side**self.axes

    @property
    def tiles(self):
        return math.ceil(self.side / self.tile) ** self.axes

    @property
    def phases(self):
        """What is done with every tile, in this order."""
        return (FIRST, *[SWEEP] * (self.sweeps - 1), CHECK)

    @property
    def redundancy(self):
        """Unknowns worked on for each that is kept."""
        return ((self.tile + 2 * self.halo) / self.tile) ** self.axes


class Traffic(NamedTuple):
    """Bytes of a task: read and written, and what of those read is beyond the tile."""

    read: float
    halo: float
    written: float
    chunks: float  # that it reads


def traffic(job, phase=SWEEP):
    """Bytes of one tile in one phase."""
    halo = 0 if phase == CHECK else job.halo
    reach, tile = job.tile + 2 * halo + job.taps - 1, job.tile**job.axes
    data, chunks = _read(job, reach)
    read, own = data * job.c_out, tile * job.c_out
    if phase != FIRST:
        image, more = _read(job, reach + job.taps - 1)
        read, chunks = read + image * job.c_in, chunks + more
        own += tile * job.c_in
    written = 0 if phase == CHECK else tile * job.c_in
    sizes = (job.itemsize * n for n in (read, read - own, written))
    return Traffic(*sizes, chunks)


def _read(job, length):
    """Samples and chunks that a box of this length takes from the store, on average."""
    if job.chunk is None:
        return length**job.axes, 1.0
    # a box of n samples at any offset meets (n - 1) / c + 1 chunks of c along an axis
    reach = min(length - 1 + job.chunk, job.side + job.chunk)
    return reach**job.axes, (reach / job.chunk) ** job.axes


def bytes_per_pixel(job, phase=SWEEP):
    """Bytes moved for each pixel in a phase, all channels."""
    moved = traffic(job, phase)
    return (moved.read + moved.written) / job.tile**job.axes


def operations(job, phase=SWEEP):
    """Floating-point operations of a task: two products, and the local inverse."""
    halo = 0 if phase == CHECK else job.halo
    length = fft.next_fast_len(job.tile + 2 * halo + job.taps - 1, real=True)
    samples = length**job.axes
    transform = 2.5 * samples * math.log2(samples)
    pairs = job.c_in * job.c_out
    # a product transforms both sides, and multiplies complex numbers on half of them
    by_fft = (job.c_in + job.c_out) * transform + 4 * pairs * samples
    product = min(by_fft, 2 * job.taps**job.axes * pairs * samples)
    if phase == CHECK:
        return 4 * product  # twice the time in double precision
    inverse = 2 * job.c_in * transform + 4 * job.c_in**2 * samples
    return (1 if phase == FIRST else 2) * product + inverse


class Rates(NamedTuple):
    """Seconds of the parts of a task, fitted to measured ones."""

    task: float  # whatever its size
    operation: float
    chunk: float  # that is read
    read: float  # a byte
    written: float

    def compute(self, job, phase=SWEEP):
        """Seconds of arithmetic of a task."""
        return self.task + self.operation * operations(job, phase)

    def seconds(self, job, phase=SWEEP):
        """Seconds of a task with nothing else on the machine."""
        moved = traffic(job, phase)
        return (
            self.compute(job, phase)
            + self.chunk * moved.chunks
            + self.read * moved.read
            + self.written * moved.written
        )


class Measured(NamedTuple):
    """Mean seconds of the parts of the tasks of a phase."""

    job: Job
    phase: str
    compute: float
    read: float
    written: float


def fit(measured):
    """`Rates` from some `Measured`.

    Relative errors count, so that small tiles weigh as much as large ones.
    """
    moved = [traffic(m.job, m.phase) for m in measured]
    task, operation = _fitted(
        [(1.0, operations(m.job, m.phase)) for m in measured],
        [m.compute for m in measured],
    )
    chunk, read = _fitted(
        [(t.chunks, t.read) for t in moved], [m.read for m in measured]
    )
    written = sum(m.written for m in measured) / sum(t.written for t in moved)
    return Rates(task, operation, chunk, read, written)


def _fitted(terms, seconds):
    """Two factors, not negative, of terms that add up to seconds."""
    seconds = np.array(seconds)
    found, _ = optimize.nnls(terms / seconds[:, None], np.ones(len(seconds)))
    return map(float, found)
