"""What a stage of a chain is, and the kinds of modules that are one.

A file for each family has the classes: `_layer_stages`, `_elementwise_stages`,
`_rearranged_stages`, `_residual_stage`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..._core.result import OnFailure, SolveResult

S = TypeVar("S", bound="type[Stage]")

# the stage of a kind of module, and the kind itself
KINDS: dict[type[nn.Module], type[Stage]] = {}
REFUSED: dict[type[nn.Module], str] = {}  # and why others are none


@dataclass
class Solves:
    """How the stages solve: `damp`, tolerances (of gradients too), what to do else."""

    damp: float
    rtol: float
    gradient_rtol: float
    on_failure: OnFailure


class Stage:
    """A module of a chain at its place, with its inverse.

    Tensors have an axis of items before `input_shape` or `output_shape`, and the dtype
    that is computed in.

    Attributes
    ----------
    module : nn.Module
    path : str
        Of the module in the chain.
    input_shape, output_shape : tuple of int
        Of one item.
    result : SolveResult or None
        Of the latest `invert`, where that is a solve.
    own_error : float
        Error of the latest `invert`, relative to x, beside that of its data.
    notes : str
        What there is to say of the latest `invert`.
    """

    def __init__(
        self,
        module: nn.Module,
        path: str,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
    ):
        self.module: Any = module
        self.path = path
        self.input_shape, self.output_shape = input_shape, output_shape
        self.result: SolveResult | None = None
        self.own_error = 0.0
        self.notes = ""

    @property
    def name(self) -> str:
        """Path and kind, for messages."""
        return named(self.module, self.path)

    def problem(self) -> str | None:
        """Why the module has no inverse as it stands, if it has none."""
        return None

    def apply(self, x: Tensor) -> Tensor:
        """The module itself, with its parameters in the dtype of x."""
        state = {
            name: tensor.to(x.dtype) if tensor.is_floating_point() else tensor
            for name, tensor in (
                *self.module.named_parameters(),
                *self.module.named_buffers(),
            )
        }
        return torch.func.functional_call(self.module, state, (x,))

    def invert(self, y: Tensor, solves: Solves) -> Tensor:
        """The input x from the output y."""
        raise NotImplementedError

    def failure(self, y: Tensor) -> str | None:
        """Why the latest `invert`, of this y, is no success by itself, if it is none.

        The residual is looked at elsewhere.
        """
        return None

    def difference(self, x: Tensor, y: Tensor) -> Tensor:
        """What of y the module does not give from x."""
        return y - self.apply(x)

    def rounding(self, x: Tensor, y: Tensor) -> Tensor:
        """Size of the numbers whose rounding y contains, when computed from x."""
        return y.abs()

    def defect(self, x: Tensor, y: Tensor, solves: Solves) -> Tensor | None:
        """A change of y that moves x by what the latest `invert` has missed."""
        return None

    def moved(self, x: Tensor, delta: Tensor, solves: Solves) -> Tensor:
        """By how much x moves when y moves by a small `delta`."""
        raise NotImplementedError

    def condition(self) -> float | None:
        """The condition number of a linear stage, where it has been estimated."""
        return None


def inverts(*kinds: type[nn.Module]) -> Callable[[S], S]:
    """Decorator: a class of stages for modules of these kinds."""

    def enroll(cls: S) -> S:
        KINDS.update(dict.fromkeys(kinds, cls))
        return cls

    return enroll


def named(module: nn.Module, path: str) -> str:
    """Path and kind of a module, for messages."""
    return f"{path} {type(module).__name__}"


def kind_of(module: nn.Module) -> type[nn.Module] | None:
    """The nearest class of the module that has a stage, or a reason to have none."""
    for cls in type(module).__mro__:
        if cls in KINDS or cls in REFUSED:
            return cls
    return None


def refusal(module: nn.Module) -> str | None:
    """Why modules of this kind are no stage, if they are none."""
    kind = kind_of(module)
    if kind is None:
        return "no kind of module that Inverse knows"
    if kind in REFUSED:
        return REFUSED[kind]
    if type(module).forward is not kind.forward:
        return (
            f"a {kind.__name__} with a forward of its own, of which Inverse knows "
            "nothing"
        )
    return None


def norms(values: Tensor) -> Tensor:
    """The norm of each item, in double precision."""
    flat = values.reshape(len(values), -1)
    return torch.linalg.vector_norm(flat, dim=1).double()
