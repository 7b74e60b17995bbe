"""The stage of a residual block: a fixed point, certified by a Lipschitz constant."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from ._fixed_point import FixedPoint, relative_step
from ._layers import without_side_effects
from ._lipschitz import proven_constant
from ._residual_block import ResidualBlock
from ._stages import Solves, Stage, inverts, norms


@inverts(ResidualBlock)
class ResidualStage(Stage):
    """``x = y - g(x)``, where ``||x_k - x|| <= L / (1 - L) ||x_k - x_{k-1}||``."""

    @cached_property
    def bound(self) -> float:
        """At least the Lipschitz constant L of g."""
        return proven_constant(self.module.body, self.input_shape)

    def problem(self) -> str | None:
        try:
            bound = self.bound
        except (TypeError, ValueError) as error:
            return f"no Lipschitz bound of its body is known: {error}"
        if bound < 1:
            return None
        return (
            f"the Lipschitz bound of its body is {bound:.4g}: below 1 the block is "
            "certainly invertible"
        )

    def invert(self, y: Tensor, solves: Solves) -> Tensor:
        x = self._solve(y, solves)
        with torch.no_grad():
            last = relative_step(y + x - self.apply(x), x)
        eps = torch.finfo(y.dtype).eps
        self.own_error = (last + eps) / (1 - self.bound)
        self.notes = (
            f"Lipschitz bound {self.bound:.4g}, certified error {self.own_error:.1g}"
        )
        return x

    def moved(self, x: Tensor, delta: Tensor, solves: Solves) -> Tensor:
        """From the inverse of a point that is near enough, and not too near."""
        y = self.apply(x)
        sizes, given = norms(y), norms(delta)
        share = torch.finfo(x.dtype).eps ** (1 / 3)
        factor = torch.where(given > 0, share * sizes / given, torch.ones_like(given))
        factor = factor.to(y.real.dtype).reshape(-1, *[1] * (delta.ndim - 1))
        return (self._solve(y + factor * delta, solves) - x) / factor

    def apply(self, x: Tensor) -> Tensor:
        names, tensors = self._state(x.dtype)
        return x + self._body(x, names, tensors)

    def _solve(self, y: Tensor, solves: Solves) -> Tensor:
        names, tensors = self._state(y.dtype)

        def step(x: Tensor, y: Tensor, *state: Tensor) -> Tensor:
            return y - self._body(x, names, state)

        return FixedPoint.apply(step, self.bound, solves.rtol, y, *tensors)

    def _body(self, x: Tensor, names: list[str], state: Sequence[Tensor]) -> Tensor:
        body = self.module.body
        with without_side_effects(body):
            return torch.func.functional_call(body, dict(zip(names, state)), (x,))

    def _state(self, dtype: torch.dtype) -> tuple[list[str], list[Tensor]]:
        body = self.module.body
        named = dict([*body.named_parameters(), *body.named_buffers()])
        wanted = [t.to(dtype) if t.is_floating_point() else t for t in named.values()]
        return list(named), wanted
