"""The products of a convolution by the cheaper route: tap by tap, or by FFT.

Contract
--------
``routes.prepare(kernel, geometry, xp)`` returns an object with `forward` and `adjoint`,
whose arguments and results are those of the contract of `kernels.correlate` without the
plan, and ``scratch_bytes(batch)``, a bound of the memory that a product takes besides
them.
"""
