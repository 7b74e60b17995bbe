"""Padded images and the adjoint of padding, for arrays of any library with slices.

The samples that a boundary puts around an image are runs of the image's own samples: in
order, in reverse, or one sample repeated. Both functions go through these runs, axis by
axis.
"""

from typing import NamedTuple

import numpy as np

from ..._core.geometry import Geometry, axis_index


class Run(NamedTuple):
    """Places ``first`` to ``first + length`` copy samples from ``sample`` on."""

    first: int
    length: int
    sample: int
    step: int  # 1, -1, or 0 if all places copy the same sample


class Edges:
    """The surroundings of an image on the padded axes.

    Parameters
    ----------
    geometry : Geometry
    axes : tuple of int
        The axes, of three, that are padded as the geometry says; the others are
        unchanged.
    """

    def __init__(self, geometry: Geometry, axes):
        g, self.axes = geometry, tuple(axes)
        self.inside = [slice(0, n) for n in g.input]
        self.shape = list(g.input)
        self.runs = {}
        for axis in self.axes:
            before, n = g.before[axis], g.input[axis]
            index = axis_index(g, axis)
            self.inside[axis] = slice(before, before + n)
            self.shape[axis] = len(index)
            front, back = runs(index[:before], 0), runs(index[before + n :], before + n)
            self.runs[axis] = [run._replace(sample=run.sample + before)
                               for run in front + back]  # fmt: skip

    def pad(self, xp, x):
        """A new array with `x`, of shape ``(B, C, *input)``, and its surroundings."""
        padded = xp.empty((*x.shape[:2], *self.shape), dtype=x.dtype)
        padded[(..., *self.inside)] = x
        for places, samples, _ in self._pairs(self.axes):
            padded[places] = padded[samples]
        return padded

    def fold(self, padded):
        """The adjoint of `pad`, a view into `padded`, which is overwritten."""
        for places, samples, axis in self._pairs(self.axes[::-1]):
            values = padded[places]
            if padded[samples].shape != values.shape:  # one sample, repeated
                values = values.sum(axis=2 + axis, keepdims=True)
            padded[samples] += values
        return padded[(..., *self.inside)]

    def _pairs(self, axes):
        """(places, samples, axis): slices of padded arrays with equal samples.

        An axis is padded after those before it, from end to end of these, so that
        corners come out right.
        """
        for axis in axes:
            done = self.axes[: self.axes.index(axis)]
            around = [slice(None) if a in done else self.inside[a] for a in range(3)]
            for run in self.runs[axis]:
                places, samples = list(around), list(around)
                places[axis] = slice(run.first, run.first + run.length)
                samples[axis] = _stepped(run.sample, run.length, run.step)
                yield (..., *places), (..., *samples), axis


def runs(index, first):
    """The runs of samples in an index map whose first place is `first`."""
    found, start = [], 0
    steps = np.diff(index)
    while start < len(index):
        stop = start + 1
        step = int(steps[start]) if stop < len(index) else 0
        if step in (-1, 0, 1):
            while stop < len(index) and steps[stop - 1] == step:
                stop += 1
        else:
            step = 0
        found.append(Run(first + start, stop - start, int(index[start]), step))
        start = stop
    return found


def _stepped(sample, length, step):
    """The slice of `length` samples; of one where the step is 0."""
    if step == 0:
        return slice(sample, sample + 1)
    if step == 1:
        return slice(sample, sample + length)
    stop = sample - length
    return slice(sample, stop if stop >= 0 else None, -1)
