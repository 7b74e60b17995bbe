"""The local inverses of a plan's tiles, shared among equal plans of a process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from .local_inverse import TorusInverse, are_embedded, border_inverse, local_operator
from .tile import Tile

SHARED: OrderedDict[str, LocalInverses] = OrderedDict()
SHARES = 4  # problems whose inverses a process keeps
INSIDE = 0.1, 1e-3  # what local inverses leave, in units of a sweep's aim; at most
LOCK = threading.RLock()


def shared_inverses(plan: Any) -> LocalInverses:
    """Those of a `TilePlan` with the same token, the last ones of which are kept."""
    with LOCK:
        found = SHARED.get(plan.token)
        if found is None:
            found = SHARED[plan.token] = LocalInverses(plan)
        SHARED.move_to_end(plan.token)
        while len(SHARED) > SHARES:
            SHARED.popitem(last=False)
        return found


class LocalInverses:
    """The inverses of the kinds of tiles of a `TilePlan`, made when asked for."""

    def __init__(self, plan: Any):
        self.plan, self._lock = plan, threading.RLock()
        self._kept: dict[Any, Any] = {}

    def of(self, tile: Tile):
        """The inverse for a tile."""
        kind = self._kind(tile)
        with self._lock:
            if kind not in self._kept:
                self._kept[kind] = self._make(tile)
            return self._kept[kind]

    def _kind(self, tile):
        """What distinguishes its local problem: a torus has no ends."""
        if not self._has_border(tile):
            return tile.box
        if are_embedded(self.plan.parts):
            return tile.box, "embedded"
        return tile.kind

    def _has_border(self, tile):
        """Whether the image's border is seen to, beside what is a torus inside.

        Not where tiles only precondition and that would take iterations of its own.
        """
        if self.plan.krylov and are_embedded(self.plan.parts):
            return False
        return any(
            (segment.open_low or segment.open_high) and axis.span
            for segment, axis in zip(tile.segments, self.plan.axes)
        )

    def _make(self, tile):
        plan = self.plan
        op = local_operator(plan.parts, plan.axes, tile)
        if not self._has_border(tile):
            return TorusInverse(op, plan.damp)
        share, most = INSIDE
        left = min(share * plan.rtol ** (1 / plan.layout.sweeps), most)
        kind = self._kind(tile)
        alike = sum(self._kind(other) == kind for other in plan.tiles)
        return border_inverse(
            op,
            plan.damp,
            lambda: self._torus(tile, op),
            left,
            plan.batch,
            alike * plan.layout.sweeps,
        )

    def _torus(self, tile, op):
        if tile.box not in self._kept:
            self._kept[tile.box] = TorusInverse(op, self.plan.damp)
        return self._kept[tile.box]
