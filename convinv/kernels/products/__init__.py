"""The products of a convolution by the cheapest route.

They are tap by tap, by Winograd's tiles, or by FFT.

Contract
--------
``routes.prepare(kernel, geometry, xp)`` returns an object with `forward` and `adjoint`,
whose arguments and results are those of the contract of `kernels.correlate` without the
plan; ``nbytes``, about the bytes that it keeps from its products on; and
``scratch_bytes(batch)``, a bound of the memory that a product takes besides all these.
"""
