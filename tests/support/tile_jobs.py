"""A small job from file to file, also for processes that are killed in it."""

import os

import numpy as np

from convinv import ConvLinearOperator
from convinv._files import open_store
from convinv._out_of_core import Frames, Job
from convinv.operators import DifferenceOperator, StackedOperator

SIZE, TILE, HALO = (40, 47), (16, 16), (6, 6)
WEIGHT = 0.5


def plain(samples, dtype):
    """Floats in a dtype, none of which is clipped."""
    return samples.astype(dtype), 0.0


def operator():
    """A blur under a border of zeros, with a penalty on differences."""
    kernel = np.random.default_rng(1).random((1, 1, 5, 5))
    kernel /= kernel.sum()
    blur = ConvLinearOperator(kernel, (1, *SIZE), padding=2)
    return StackedOperator([blur, WEIGHT * DifferenceOperator((1, *SIZE))])


def job(folder, output="out.npy", **options):
    """A job on ``in.npy`` in a folder."""
    frames = Frames(open_store(folder / "in.npy"), 2)
    frame = tuple(slice(0, n) for n in SIZE)
    facts = {"weight": WEIGHT}
    options = {"rtol": 1e-9, "tile": TILE, "halo": HALO, **options}
    path = os.fspath(folder / output)
    return Job(operator(), frames, frame, path, plain, facts, **options)


def counted(folder, before=None, after=None):
    """A runner that counts tiles in a file, and calls two functions with the count.

    Before a tile and after it, when it is not in the journal yet.
    """
    path = folder / "count"

    def run(function, numbers, take):
        for number in numbers:
            with path.open("ab") as file:
                file.write(b".")
            if before is not None:
                before(path.stat().st_size)
            done = function(number)
            if after is not None:
                after(path.stat().st_size)
            take(done)

    return run
