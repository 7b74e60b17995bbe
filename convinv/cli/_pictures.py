"""Files of pictures that matplotlib draws."""

from __future__ import annotations

from pathlib import Path

from .._core.optional import optional
from ._errors import UsageError


def picture_format(path: str) -> str:
    """The format of a picture's file, from the end of its name."""
    figure = optional("matplotlib.figure", "a picture").Figure()
    formats = sorted(figure.canvas.get_supported_filetypes())
    kind = Path(path).suffix.lstrip(".").lower()
    if kind not in formats:
        raise UsageError(
            f"a picture must be written to one of .{', .'.join(formats)}, got {path!r}"
        )
    return kind
