"""Vector updates of iterative solvers, fused, for batches of vectors.

Contract
--------
Vectors are C-contiguous arrays of shape ``(B, n)``, coefficients arrays of shape
``(B,)`` in float64, one for each item.
Sums are accumulated in float64, in an order that does not depend on threads.

``sumsq(x)``: ``sum |x|**2`` of each item, float64.
``extent(x)``: the largest magnitude of a real or imaginary part of each item, float64,
infinite or NaN where one is; and ``sumsq(x)``.
``dot(x, y)``: ``sum conj(x) y`` of each item, float64 or complex128.
``axpy(a, x, y)``: ``y += a x``; returns ``(y, sumsq(y))``.
``axpby(a, x, b, y)``: ``y = a x + b y``; returns ``(y, sumsq(y))``.
``subtract(x, y)``: ``y = x - y`` for y in double precision, x in single or double;
returns ``(y, sumsq(y))``.
``step(a, p, x, s, b)``: ``x += a p; p = s + b p``; returns ``(x, p)``.
``three_term(h, a, hb, b, x, v, c)``: ``hb = h + a hb; x += b hb; h = v + c h``;
returns ``(h, hb, x)``.
``project(basis, count, gram, w)``: Gram-Schmidt, w without its part in the span of the
first `count` vectors of a basis of shape ``(length, B, n)``, which are orthonormal or
0; returns ``(w, h, before, after)``: the coefficients of that part, of shape
``(B, count)``, and ``sumsq(w)`` before and after. `count` is 1, 2 and so on in
successive calls, `gram` of shape ``(B, length, length)``, in double
precision, is memory between them. The result is orthogonal to a few roundings.
``scale(a, x)``: ``x *= a``; returns x.
``combine(basis, y)``: the sum of ``y[:, k] basis[k]`` over the first ``y.shape[1]``
vectors of such a basis, in new memory; y is in double precision.

Updates work in place if the library can, and return the array with the result. Each is
one pass over its arrays, except `project`.
"""
