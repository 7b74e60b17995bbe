"""Preconditioners: by name in `convinv.solve`, or as objects that keep their set-up."""

from ._base import PRECONDITIONERS, Preconditioner
from .circulant import Circulant
from .jacobi import Jacobi
from .schwarz import Schwarz

__all__ = ["Circulant", "Jacobi", "Preconditioner", "Schwarz"]
