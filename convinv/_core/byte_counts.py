"""Numbers of bytes as texts, and back."""

import math
import re

from .validation import number

SIZE = re.compile(r"\s*(\d+\.?\d*(?:e\+?\d+)?)\s*(?:([kmgt])(i?))?b?\s*", re.IGNORECASE)


def parse_bytes(value, name="max_memory") -> float:
    """A number of bytes, or a text like "2GB" or "512 MiB"."""
    if isinstance(value, str):
        match = SIZE.fullmatch(value)
        if match is None:
            raise ValueError(
                f"{name} must be a number of bytes or a text like '2GB' or '512MiB', "
                f"got {value!r}"
            )
        power = " kmgt".index((match[2] or " ").lower())
        return number(match[1], name) * (1024 if match[3] else 1000) ** power
    if isinstance(value, bool):
        raise TypeError(
            f"{name} must be a number of bytes or a text like '2GB', got {value!r}"
        )
    return number(value, name)


def bytes_text(count) -> str:
    """A number of bytes for a message, in a form that `parse_bytes` takes."""
    power = min(int(math.log(max(count, 1), 1000)), 4)
    unit = ("", "k", "M", "G", "T")[power]
    return f"{count / 1000**power:.4g} {unit}B"
