"""Steps of methods for Poisson counts, fused, for batches of real vectors.

Contract
--------
Vectors are C-contiguous real arrays of shape ``(B, n)`` or ``(B, m)`` and of one dtype;
`s`, `inverse` and `background` may have one row for all items. Coefficients are arrays
of shape ``(B,)`` in float64, rounded to the dtype. Sums are accumulated in float64, in
an order that does not depend on threads. Means u are kept at or above the smallest
normal number of the dtype, so that they can divide.

``quotient(u, background, counts, q)``: ``u += background; q = counts / u``; returns
``(u, q)``.
``advance(t, v, u, counts, q)``: ``u += t v; q = counts / u``; returns ``(u, q)``.
``slopes(t, u, v, counts)``: with ``w = u + t v`` the sums of ``counts t v^2 / (u w)``
and of ``counts v^2 / w^2`` of each item: how much the first derivative along v has
grown at t, and the second derivative.
``direction(a, x, g, inverse, least, d)``:
``d = max(x - a max(x, least) inverse g, 0) - x``; returns d and the sums of ``g d``.
``gradient(back, s, x, inverse, level)``: ``back = s - back``, the gradient g; returns
it and the sums of squares of ``min(x, max(x, level) inverse g)`` and of x.
``curvature(d, g, old, x, inverse, least)``: with
``y = max(x, least) inverse (g - old)`` the sums of ``d y`` and of ``y^2``.

Updates work in place if the library can, and return the array with the result. Each is
one pass over its arrays.
"""
