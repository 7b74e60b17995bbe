"""Differences of neighbors in the iterations for total variation, fused.

Contract
--------
A volume `x` is a C-contiguous array of shape ``(B, d, h, w)``. A field `z` or `u` has
shape ``(len(axes), B, d, h, w)``: one entry for each of the `axes`, which are 0, 1 or 2
for d, h or w. The difference of a sample along an axis is its successor minus itself;
the successor of the last sample is the first. `box` has the first sample and the end of
an interval of each axis: differences between samples of this box count. The others are
0, or with `free` they take part in the field without being shrunk.

``shrink(x, z, u, axes, box, free, threshold, relax, isotropic)``: with the differences
D x and ``v = relax D x + (1 - relax) z + u``, z becomes v with its magnitudes shrunk by
the threshold, and u becomes ``v - z``, in place. Where differences are free, z is v.
Magnitudes are those of the vector of all differences of a sample, or if not `isotropic`
those of each. Returns the sums of squares of the changes of z and of u, float64 of
shape ``(2,)``.
``divergence(z, u, axes)``: the adjoint of D applied to ``z - u``, a new volume.

`threshold` and `relax` are numbers of the host.
"""
