"""What a command prints: lines as it goes, or one JSON object at its end."""

from __future__ import annotations

import json
import math
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np


class Output:
    """The lines and facts of a command.

    Attributes
    ----------
    facts : dict
        What ``--json`` prints.
    as_json : bool
        Whether to print the facts at the end, and no lines.
    """

    def __init__(self, as_json: bool):
        self.as_json = as_json
        self.facts: dict[str, Any] = {}

    def line(self, text: str = "") -> None:
        """A line for people."""
        if not self.as_json:
            print(text, flush=True)

    def fact(self, name: str, text: str) -> None:
        """A line with a name in its own column."""
        self.line(f"{name:<12}{text}")

    def finish(self) -> None:
        """Print the facts if they are asked for."""
        if self.as_json:
            print(json.dumps(plain(self.facts), allow_nan=False))
        sys.stdout.flush()

    @property
    def progress(self) -> bool:
        """Whether to show a bar on stderr: to people, if there is one."""
        people = sys.stderr.isatty() and not self.as_json
        return people and find_spec("tqdm") is not None


def plain(value: Any) -> Any:
    """A value as JSON has it; numbers that JSON has not are texts, such as "inf"."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, complex):
        return [plain(value.real), plain(value.imag)]
    return str(value) if isinstance(value, Path) else value


def steps(count: int) -> str:
    """A number of iterations in words."""
    return f"{count} iteration{'s' if count != 1 else ''}"


def times(numbers: Any) -> str:
    """Sizes in words: 3 x 64 x 64."""
    return " x ".join(map(str, numbers))
