"""An approximate inverse on the rows that a torus adds around a box of data.

The rows beyond the box fill a slab of the torus for each of its axes. In a slab alone
the matrix ``I - S N^-1 S^H`` is invariant under shifts along the other axes, so that a
transform along them leaves one small matrix per frequency, which is inverted. The sum
of the inverses of all slabs (additive Schwarz) is near the inverse of the whole: only
where slabs cross, and where they see each other across the box, is it not.
"""

import itertools
import math

import numpy as np

SMALL = 2**24  # bytes of inverses that are made anyhow; else they are not to outweigh
# the matrices of all frequencies


class AddedSlabs:
    """The sum of the inverses in the slabs, and the identity on other added rows.

    Parameters
    ----------
    between : ndarray, shape (groups, filters, filters, *frequencies)
        ``S N^-1 S^H`` at the frequencies of a transform of the torus.
    rows : ndarray, shape (groups, filters, channels, *frequencies)
        S there.
    kept : ndarray of bool, shape (groups, filters, *torus)
        The rows that are not added.
    grid : tuple of int
        The samples of the torus that are unknowns; what else it has is in no row that
        is kept, so that S maps it to added rows that tell nothing.
    is_regular : bool
        Whether these, too, have an inverse.
    xp, dtype
        The library and the dtype of the data.
    """

    def __init__(self, between, rows, kept, grid, is_regular, xp, dtype):
        self.xp, self.shape = xp, kept.shape
        self.real = np.dtype(dtype).kind == "f"
        self.kind = np.result_type(dtype, np.complex64)
        self.slabs = []
        rest = ~kept
        for group, axis in itertools.product(range(len(kept)), range(3)):
            place = _beyond(kept[group], axis)
            if not len(place[0]):
                continue
            np.moveaxis(rest[group], 1 + axis, 1)[place] = False
            slab = np.eye(len(place[0])) - self._matrices(
                between[group], axis, place, place
            )
            empty = [] if is_regular else np.arange(grid[axis], kept.shape[2 + axis])
            if len(empty):
                channels = np.arange(rows.shape[2]).repeat(len(empty))
                empty = channels, np.tile(empty, rows.shape[2])
                seen = self._matrices(rows[group], axis, place, empty)
                slab = slab + seen @ seen.conj().swapaxes(1, 2)
            inverse = xp.asarray(np.linalg.inv(slab).astype(self.kind))
            index = tuple(xp.asarray(numbers) for numbers in place)
            self.slabs.append((axis, group, index, inverse))
        self.rest = xp.asarray(rest.reshape(1, -1)) if rest.any() else None
        self.nbytes = sum(slab[-1].nbytes for slab in self.slabs)

    @staticmethod
    def fits(kept, real, nbytes) -> bool:
        """Whether the inverses take no more than `nbytes`, or little."""
        needed = 0.0
        for axis in range(3):
            others = math.prod(kept.shape[2:]) // kept.shape[2 + axis]
            for group in kept:
                needed += 16 / (1 + real) * others * len(_beyond(group, axis)[0]) ** 2
        return needed <= max(nbytes, SMALL)

    def _matrices(self, spectra, axis, rows, columns):
        """The matrices ``(frequencies, rows, columns)`` of a slab across an axis.

        `rows` and `columns` are pairs of channels and of samples along that axis. The
        frequencies are those of `_transform` along the others.
        """
        (filters, samples), (channels, seen) = rows, columns
        torus = self.shape[2:]
        if self.real and axis == 2:  # half of another axis in place of the last
            depth, height = (np.arange(n) for n in torus[:2])
            height = height[: torus[1] // 2 + 1]
            left = np.arange(spectra.shape[4], torus[2])
            mirror = np.ix_(-depth % torus[0], -height % torus[1], torus[2] - left)
            ahead = spectra[:, :, :, : len(height)]
            spectra = np.concatenate([ahead, spectra[(..., *mirror)].conj()], axis=-1)
        n = torus[axis]
        offsets, place = np.unique((samples[:, None] - seen) % n, return_inverse=True)
        waves = np.exp(2j * np.pi * (np.outer(np.arange(n), offsets) % n) / n) / n
        along = np.moveaxis(np.moveaxis(spectra, 2 + axis, -1) @ waves, -1, 2)
        along = along.reshape(*along.shape[:3], -1)
        place = place.reshape(len(samples), -1)
        return np.moveaxis(along[filters[:, None], channels, place], 2, 0)

    def _transform(self, values):
        transform = self.xp.fft.rfftn if self.real else self.xp.fft.fftn
        return transform(values, axes=(2, 3))

    def __call__(self, r):
        """The approximate inverse of flat data ``(B, length)``, 0 where r is."""
        xp, data = self.xp, r.reshape((len(r), *self.shape))
        found = xp.zeros_like(data)
        if self.rest is not None:
            found = (r * self.rest).reshape(data.shape)
        for axis, group, (filters, samples), inverse in self.slabs:
            part = xp.moveaxis(data[:, group], 2 + axis, 2)[:, filters, samples]
            waves = self._transform(part)
            columns = xp.moveaxis(waves.reshape((*waves.shape[:2], -1)), 2, 0)
            columns = inverse @ columns.swapaxes(1, 2)
            waves = xp.moveaxis(columns.swapaxes(1, 2), 0, 2).reshape(waves.shape)
            if self.real:
                part = xp.fft.irfftn(waves, s=part.shape[2:], axes=(2, 3))
            else:
                part = xp.fft.ifftn(waves, axes=(2, 3))
            xp.moveaxis(found[:, group], 2 + axis, 2)[:, filters, samples] += part
        return found.reshape(r.shape)


def _beyond(kept, axis):
    """``(filter, sample)`` of rows before and behind all that is kept on an axis."""
    others = tuple(1 + a for a in range(3) if a != axis)
    filters, samples = [], []
    for number, own in enumerate(kept.any(axis=others)):
        inside = np.flatnonzero(own)
        first, last = (inside[0], inside[-1]) if len(inside) else (0, -1)
        outside = [*range(first), *range(last + 1, len(own))]
        filters += [number] * len(outside)
        samples += outside
    return np.array(filters, int), np.array(samples, int)
