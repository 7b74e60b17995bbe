"""Arrays of other libraries."""

from .dlpack import from_dlpack

__all__ = ["from_dlpack"]
