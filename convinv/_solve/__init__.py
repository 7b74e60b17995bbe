"""The front door: from the user's arguments to a verified result."""

from ..operators._base import register_inverse
from .inverse import InverseOperator

register_inverse(InverseOperator)
