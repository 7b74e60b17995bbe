"""Separable windows on grids: extract them, and put them back.

Contract
--------
A grid has shape ``(B, C, D, H, W)`` and is C-contiguous, as is every other array;
float32, float64, complex64 or complex128. ``tables`` is a tuple of three int64 arrays,
one per spatial axis: row ``s`` of ``tables[axis]``, of shape ``(S_axis, n_axis)``,
names the sample of every element of window ``s`` on that axis, -1 for none. Windows
are numbered row-major over ``(S_d, S_h, S_w)``; the elements of one are ordered as the
grid is, ``(C, n_d, n_h, n_w)``. A window names no sample twice.

``gather(grid, tables, which)`` returns the windows ``which`` (int64 numbers) of every
item, of shape ``(len(which), B, C * n_d * n_h * n_w)``; missing samples are 0.

``scatter(values, tables, window, grid)`` writes ``values``, of shape ``(B, C * n_d *
n_h * n_w)``, into the samples of one window, in place. Returns None.

``combine(values, tables, covers, shape, mode)`` lays the values of all windows, of
shape ``(S_d * S_h * S_w, B, C * n_d * n_h * n_w)``, onto a new grid of ``shape``.
``covers`` is the inverse of ``tables``: per axis ``(start, window, position)``, int64,
where sample ``p`` is element ``position[f]`` of window ``window[f]`` for ``start[p] <=
f < start[p + 1]``, in increasing order of windows. With mode "overwrite" a sample gets
the value of the last window that covers it, with "average" the mean over all of them;
samples that no window covers are 0. Every sample is computed in one place.
"""
