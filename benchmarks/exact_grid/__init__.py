"""The exact inverses on a grid of problems, beside STRIP, CGLS and SciPy's LSQR."""
