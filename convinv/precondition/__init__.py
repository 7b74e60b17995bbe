"""Preconditioners by name."""

from .jacobi import jacobi

PRECONDITIONERS = {"jacobi": jacobi}
