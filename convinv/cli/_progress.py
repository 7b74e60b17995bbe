"""The line that tells how far a long job is."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from ._output import Output, times


class TileProgress:
    """Tiles done and left, and the time; in place on a terminal, else by sweep."""

    def __init__(self, output: Output):
        self._output = output
        self._live = sys.stderr.isatty() and not output.as_json
        self._start = self._shown = time.perf_counter()
        self._begun: tuple[Any, ...] = ()
        self._width = 0

    def started(self, plan: Any, work: Any) -> None:
        """Tell the plan, and whether an earlier run goes on."""
        grid, tile, halo = plan.grid, plan.layout.tile, plan.layout.halo
        self._output.fact(
            "tiles", f"{times(grid)} of {times(tile)}, with {times(halo)} around them"
        )
        if work.resumed:
            self._output.fact("resumed", f"from {work.folder}")
        self._output.facts |= {
            "grid": grid,
            "tile": tile,
            "halo": halo,
            "resumed": work.resumed,
        }

    def tile(self, name: str, step: int, done: int, count: int) -> None:
        """Tell of a tile."""
        now = time.perf_counter()
        if self._begun[:2] != (name, step):
            self._begun = name, step, done - 1, now
        _, _, before, start = self._begun
        left = (now - start) * (count - done) / max(done - before, 1)
        words = f"step {step + 1}, {name}: {done} of {count} tiles"
        if self._live and (done == count or now - self._shown > 0.2):
            self._show(f"{words}, {now - self._start:.0f} s, {left:.0f} s to its end")
            self._shown = now
        elif not self._live and done == count:
            self._output.line(f"{words}, {now - self._start:.3g} s")

    def _show(self, text: str) -> None:
        print("\r" + text.ljust(self._width), end="", file=sys.stderr, flush=True)
        self._width = len(text)

    def __enter__(self) -> TileProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._width:
            print(file=sys.stderr)
