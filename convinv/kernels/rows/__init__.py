"""Row and column actions of a convolution or a matrix.

Contract
--------
``prepare(kernel, geometry)`` returns a plan of the rows ``a_i`` and columns ``a^j`` of
A: of the convolution of `geometry` with ``kernel`` of shape ``(c_out, c_in // groups,
*geometry.kernel)``, or with geometry None those of a sparse matrix ``kernel``. Rows and
columns are numbered as the output's and the input's samples, row-major over ``(c_out,
*geometry.output)`` and ``(c_in, *geometry.input)``.

Data have the plan's dtype (float32, float64, complex64 or complex128) and are
C-contiguous: ``x``, ``origin`` of shape ``(B, n)``, ``b``, ``r``, ``z`` of shape ``(B,
m)``. ``scale`` is real, of shape ``(m,)`` or ``(n,)``; rows and columns
with scale 0 are left out. ``active``, bool of shape ``(B,)``, says which items are
treated.
``order`` and the other lists of rows, columns, pixels or samples are int64, in any
order, and may have repetitions. ``reverse`` goes through them from the last
to the first. All functions work in place and return None.

``row_sweep(plan, x, b, z, scale, damp, active, order, reverse=False)``: for every i in
``order``, one after the other::

    t = scale[i] (b_i - a_i x - damp z_i);  x += t conj(a_i);  z_i += damp t

z may be None where damp is 0.

``pixel_sweep(plan, x, b, z, scale, damp, active, pixels, starts, reverse=False)``: the
same for all rows of output pixel ``pixels[k]``, the filters in their order,
``k = 0, 1, ...``. ``starts`` (a NumPy array) cuts ``pixels`` into colors: from one
start to the next, pixels differ and share no sample, so that they may be treated at the
same time.

``column_sweep(plan, x, r, origin, scale, damp, active, order, reverse=False)``: for
every j in ``order``::

    t = scale[j] ((a^j)^H r - damp^2 (origin_j + x_j));  x_j += t;  r -= t a^j

origin may be None for zero.

``sample_sweep(plan, x, r, origin, scale, damp, active, samples, starts,
reverse=False)``: the same for all channels of input pixel ``samples[k]``; those of a
color share no output pixel.

Results do not depend on the number of threads. A plan of a matrix takes no
`pixel_sweep` and no `sample_sweep`.
"""
