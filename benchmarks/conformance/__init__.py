"""Operators and solvers of other libraries, put through `convinv.testing`."""
