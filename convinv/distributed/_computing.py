"""What is computed at once, and what of it stays in the memory of the workers."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import dask
from dask.diagnostics import ProgressBar


def held(*lazy: Any, progress: bool = False) -> tuple[Any, ...]:
    """Collections of Dask held in memory where they are computed.

    With `progress` a bar shows the tasks that are done.
    """
    client = _has_client()
    bar = progress and not client
    with ProgressBar() if bar else contextlib.nullcontext():
        found = dask.persist(*lazy)
    if progress and client:
        sys.modules["distributed"].progress(*found, notebook=False)
    return found


def _has_client() -> bool:
    """Whether a cluster computes, by which `persist` does not wait."""
    distributed = sys.modules.get("distributed")
    if distributed is None or dask.config.get("scheduler", None) not in (
        None,
        "dask.distributed",
        "distributed",
    ):
        return False
    try:
        distributed.default_client()
    except ValueError:
        return False
    return True
