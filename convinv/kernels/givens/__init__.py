"""Givens rotations that keep a Hessenberg matrix triangular, for every item of a batch.

Contract
--------
A step of GMRES adds a column to the Hessenberg matrix of each item. Arrays are
C-contiguous, float64 or complex128 where the type is not given; `size` is the largest
number of columns. What is kept between calls:

``triangle``: shape ``(B, size, size)``, zero at first; upper triangular.
``cosines``: shape ``(B, size)``; ``sines``: the same in float64.
``right``: shape ``(B, size + 1)``, the rotated right side, of norm 1: ``right[:, 0]``
is 1 at first.

``append(h, before, after, tiny, active, triangle, cosines, sines, right)`` appends the
column j, where `h` of shape ``(B, j + 1)`` holds its coefficients, and ``before`` and
``after`` the squares of the norms (float64, shape ``(B,)``) of the vector that it
comes from and of what is left of that; norms up to `tiny` times the former are 0.
Returns ``(factor, broken, residual)``, of shape ``(B,)``: what scales the next vector
of the basis to norm 1, the items whose matrix has become singular, and the norm of
the residual relative to the first one. Items that are broken or not `active` have a
factor of 0; they get a column of the unit matrix, no rotation, and a solution that
ends with zeros.

``substitute(triangle, right, norm, steps)``: the solutions of shape ``(B, steps)`` of
the triangle's first `steps` columns with the right sides ``norm[:, None] * right``.
"""
