"""The products of a convolution by the route that costs less: tap by tap, or by FFT.

Contract
--------
``routes.prepare(kernel, geometry, xp)`` gives what has `forward` and `adjoint` with the
arguments and results that the contract of `kernels.correlate` has after the plan, and
``scratch_bytes(batch)``, a bound of the memory that a product takes beside them.
"""
