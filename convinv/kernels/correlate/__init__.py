"""The convolution and its adjoint.

Contract
--------
``prepare(kernel, geometry)`` returns a plan for ``kernel`` of shape ``(c_out, c_in //
groups, *geometry.kernel)``. Data have the kernel's dtype (float32, float64, complex64
or complex128) and are C-contiguous.

``forward(plan, x, sumsq=False, out=None)`` takes ``x`` of shape ``(B, c_in,
*geometry.input)`` and returns ``(y, s)``: ``y`` of shape ``(B, c_out,
*geometry.output)``, in `out` where that is given::

    y[b, o, i] = sum_{c, u} kernel[o, c, u] x[b, g C + c, index(stride i + dilation u)]

with ``index`` the map of `padded_index` in ``_core.boundaries`` on every axis (-1: a
zero sample), and ``s`` either None or the sum of ``|y|**2`` of each item, float64 of
shape ``(B,)``.

``adjoint(plan, y, sumsq=False, out=None)`` returns ``(x, s)`` for the exact adjoint,
which conjugates the kernel. Every output sample is computed in one place (gather), so
the result does not depend on the number of threads.
"""
