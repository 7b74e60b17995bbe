"""Inverse: the input of a chain of modules from its output."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..._core.result import OnFailure, check_on_failure, deliver
from ..._core.typing import Shape
from ..._core.validation import number
from .._call import RTOL
from . import (  # noqa: F401  enroll their kinds
    _elementwise_stages,
    _layer_stages,
    _rearranged_stages,
    _refused,
    _residual_stage,
)
from ._chain_check import Check
from ._elementwise_stages import BatchNormStage, PReLUStage, listed
from ._layer_stages import LayerStage
from ._rearranged_stages import DropoutStage, IdentityStage
from ._shapes import shape_after
from ._stages import KINDS, Solves, Stage, kind_of, named, refusal
from ._tensors import HALVES, check_tensor, is_wrapped

ROOT = "net"  # the name of the chain itself in paths


@dataclass(frozen=True)
class Place:
    """Where a module stands in a chain.

    Attributes
    ----------
    path : str
        As `nn.Module.get_submodule` takes it.
    input_shape, output_shape : tuple of int or None
        Of one item; None after a module whose shapes are not known.
    trouble : str or None
        What does not fit.
    """

    path: str
    input_shape: tuple[int, ...] | None
    output_shape: tuple[int, ...] | None
    trouble: str | None = None

    @property
    def name(self) -> str:
        return f"{ROOT}.{self.path}" if self.path else ROOT


class Inverse(nn.Module):
    """The inverse of a chain of modules, as a module: from its output to its input.

    Parameters
    ----------
    module : nn.Module
        An `nn.Sequential` (nested ones too), or one module. Kinds that have an inverse:

        - `nn.Conv1d` to ``3d``, `nn.ConvTranspose1d` to ``3d`` and `nn.Linear`, by
          `conv_solve`;
        - `nn.BatchNorm1d` to ``3d`` in evaluation mode;
        - `nn.LeakyReLU`, `nn.PReLU`, `nn.ELU`, `nn.CELU`, `nn.SELU`, `nn.Softplus`,
          `nn.Tanh`, `nn.Sigmoid`, `nn.LogSigmoid`, `nn.Softsign`, and `nn.RReLU` in
          evaluation mode, with parameters that make them increase;
        - `nn.Flatten`, `nn.Unflatten`, `nn.PixelShuffle`, `nn.PixelUnshuffle`,
          `nn.ChannelShuffle`, paddings of all kinds, `nn.Identity`, and dropout in
          evaluation mode;
        - `ResidualBlock`, where the Lipschitz bound of its body is below 1.
    input_shape : tuple of int
        Of one input, without the axis of a batch.
    damp : float
        Tikhonov damping of every layer, not negative. Its bias counts as an error of x.
    rtol : float, optional
        Tolerance of the layers' solves and of fixed points, by default 1e-6 in single
        precision and 1e-10 in double.
    check : bool
        Whether to check x and to set `last`, which takes about as long again as the
        inverse, and for new weights the search for the layers' smallest singular
        values. If not, layers report the solves that fail, and nothing else is looked
        at.
    on_failure : {"warn", "raise", "ignore"}
        What to do if `last` is no success.

    Attributes
    ----------
    module : nn.Module
        The chain, with the weights that it has: nothing is copied.
    input_shape, output_shape : tuple of int
        Of one item; the latter is None where shapes are not known.
    unsupported : list of str
        What stops the inverse, such as ``"net.4 MaxPool2d: not invertible: keeps one
        number of each window"``; empty if nothing does. It follows the modes and
        parameters of the modules.
    last : ChainResult or None
        Of the latest `forward` in this process: ``last.success``, ``last.message``,
        ``last.error``, and ``last.stages`` with the same for each module. Transforms of
        `torch.func` and compiled modules do not set it.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value. Modules without an inverse raise in
        `forward`; here they are listed in `unsupported`.

    Notes
    -----
    Gradients by y and by the parameters of the chain, to second order, do not store
    iterations.

    ``last.success`` asks for three things: that every stage was inverted; that the
    chain maps x to y up to 1000 `rtol`; and that rounding has not been amplified to an
    error of more than 1 % of x (40 dB). That error is estimated by perturbations of the
    size of rounding, of the output of every stage, which pass through the inverse; of
    their effect 4 times the largest is taken. A layer that does not determine its
    input, because it has less outputs than inputs or is numerically singular, is no
    success; x then is the input of least norm.

    A PReLU with slopes that are not positive is two-to-one in these channels. The layer
    before it is inverted without them, if the others determine its input; the message
    says so. Otherwise they are listed in `unsupported`.

    In half precision and under `torch.autocast` it computes in float32 and returns y's
    dtype; errors of x are then those of y's rounding.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from convinv.interop.torch import Inverse
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(
    ...     nn.Conv2d(3, 16, 3, stride=2), nn.LeakyReLU(0.1), nn.Conv2d(16, 32, 3)
    ... ).double()
    >>> inverse = Inverse(net, (3, 33, 33))
    >>> inverse.unsupported
    []
    >>> x = torch.rand(4, 3, 33, 33).double()
    >>> bool((inverse(net(x)) - x).abs().max() < 1e-6)
    True
    >>> inverse.last.success
    True
    >>> Inverse(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), (3, 9, 9)).unsupported
    ['net.1 ReLU: maps all negative numbers to 0']
    """

    def __init__(
        self,
        module: nn.Module,
        input_shape: Shape,
        *,
        damp: float = 0.0,
        rtol: float | None = None,
        check: bool = True,
        on_failure: OnFailure = "warn",
    ):
        super().__init__()
        if not isinstance(module, nn.Module):
            raise TypeError(f"module must be an nn.Module, got {type(module).__name__}")
        check_on_failure(on_failure)
        self.damp = number(damp, "damp")
        self.rtol = None if rtol is None else number(rtol, "rtol")
        self.check, self.on_failure = bool(check), on_failure
        self.module = module
        self.input_shape = tuple(int(n) for n in input_shape)
        self._places = list(_places(module, self.input_shape))
        shapes = [self.input_shape, *(p.output_shape for p in self._places)]
        self.output_shape = shapes[-1]
        self.last: Any = None  # a type checker need not ask whether it is set

    @property
    def unsupported(self) -> list[str]:
        """What stops the inverse, each with its path; empty if nothing does."""
        return self._examined()[1]

    def forward(self, y: Tensor) -> Tensor:
        """The input of the chain.

        Parameters
        ----------
        y : Tensor, shape (N, *output_shape) or output_shape

        Returns
        -------
        x : Tensor, shape (N, *input_shape) or input_shape

        Raises
        ------
        ValueError
            If modules are `unsupported`, or y does not fit.
        ConvergenceError
            With ``on_failure="raise"``, if `last` is no success.

        Warns
        -----
        ConvergenceWarning
            If `last` is no success.
        """
        stages = self._ready()
        check_tensor(y, "y", halves=True)
        single = self._is_single(y)
        dtype, eps = self._precision(y)
        solves = self._solves(dtype)
        with torch.autocast(y.device.type, enabled=False):
            data = (y[None] if single else y).to(dtype)
            follow = self.check and not _is_traced(y)
            check = Check(data.detach(), eps, solves) if follow else None
            x = data
            for stage in reversed(stages):
                data, x = x, stage.invert(x, solves)
                if check is not None:
                    with torch.no_grad():
                        check.see(stage, x.detach(), data.detach())
            if check is not None:
                with torch.no_grad():
                    self.last = check.result(stages, x.detach())
                deliver(self.last, self.on_failure, stacklevel=4)
        x = x[0] if single else x
        return x.to(y.dtype if y.is_complex() == dtype.is_complex else dtype)

    def extra_repr(self) -> str:
        """What `print` shows beside the chain."""
        return f"input_shape={self.input_shape}, damp={self.damp:.4g}"

    def _stages(self) -> list[Stage]:
        """The stages that there are, with the modules as they stand."""
        stages = []
        for place in self._places:
            module = self.module.get_submodule(place.path)
            kind = kind_of(module)
            if place.trouble is None and kind is not None:
                assert place.input_shape is not None and place.output_shape is not None
                stages.append(
                    KINDS[kind](
                        module, place.name, place.input_shape, place.output_shape
                    )
                )
        return stages

    def _examined(self) -> tuple[list[Stage], list[str]]:
        """The stages, and what stops the inverse."""
        stages = self._stages()
        found = {p.name: p.trouble for p in self._places if p.trouble}
        for stage in stages:
            trouble = stage.problem()
            if trouble:
                found.setdefault(stage.path, trouble)
        for name, trouble in _leave_channels_out(stages).items():
            found.setdefault(name, trouble)
        return stages, [
            f"{named(self.module.get_submodule(p.path), p.name)}: {found[p.name]}"
            for p in self._places
            if p.name in found
        ]

    def _ready(self) -> list[Stage]:
        stages, unsupported = self._examined()
        if unsupported:
            raise ValueError(
                f"{len(unsupported)} of {len(self._places)} modules have no inverse: "
                + "; ".join(unsupported)
            )
        return stages

    def _is_single(self, y: Tensor) -> bool:
        shape = self.output_shape
        assert shape is not None
        if y.ndim in (len(shape), len(shape) + 1) and y.shape[-len(shape) :] == shape:
            return y.ndim == len(shape)
        inner = ", ".join(map(str, shape))
        raise ValueError(
            f"y must have shape (N, {inner}) or ({inner}), got {tuple(y.shape)}"
        )

    def _precision(self, y: Tensor) -> tuple[torch.dtype, float]:
        """The dtype that is computed in, and the precision that y has."""
        dtype, eps = y.dtype, torch.finfo(y.dtype).eps
        for tensor in (*self.module.parameters(), *self.module.buffers()):
            if tensor.is_floating_point() or tensor.is_complex():
                dtype = torch.promote_types(dtype, tensor.dtype)
                eps = max(eps, torch.finfo(tensor.dtype).eps)
        return torch.float32 if dtype in HALVES else dtype, eps

    def _solves(self, dtype: torch.dtype) -> Solves:
        default = RTOL[dtype.to_real().itemsize]
        rtols = default if self.rtol is None else (self.rtol, self.rtol)
        return Solves(self.damp, *rtols, self.on_failure)


def _places(module: nn.Module, shape: tuple[int, ...]) -> Iterator[Place]:
    """The modules of a chain in their order, with their shapes."""
    before: tuple[int, ...] | None = shape
    for path, leaf in _leaves(module, ""):
        trouble, after = refusal(leaf), None
        if before is not None:
            try:
                after = shape_after(leaf, before)
            except ValueError as error:
                trouble = trouble or str(error)
        else:
            trouble = trouble or "the shape of its input is not known"
        yield Place(path, before, after, trouble)
        before = after


def _leaves(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    chain = isinstance(module, nn.Sequential)
    if not chain or type(module).forward is not nn.Sequential.forward:
        yield path, module
        return
    for name, child in module.named_children():
        yield from _leaves(child, f"{path}.{name}" if path else name)


def _leave_channels_out(stages: list[Stage]) -> dict[str, str]:
    """Tell layers which of their outputs a PReLU has lost; those that can't do without.

    Between them only what leaves each channel by itself can stand.
    """
    lost: dict[str, str] = {}
    for i, stage in enumerate(stages):
        channels = stage.two_to_one() if isinstance(stage, PReLUStage) else []
        if not channels:
            continue
        passes = BatchNormStage, IdentityStage, DropoutStage
        before = itertools.dropwhile(lambda s: isinstance(s, passes), stages[:i][::-1])
        layer = next(before, None)
        rows = isinstance(layer, LayerStage) and layer.layer.linear
        if not isinstance(layer, LayerStage) or (rows and len(layer.output_shape) > 1):
            lost[stage.path] = (
                f"the slopes of its channels {listed(channels)} are not positive, and "
                "there is no layer before it that the other channels could do for"
            )
            continue
        layer.unknown, layer.after = channels, stage.name
        trouble = layer.problem()
        if trouble:
            lost[layer.path] = trouble
    return lost


def _is_traced(y: Tensor) -> bool:
    """Whether y holds no numbers to look at: in `torch.func` and `torch.compile`."""
    return torch.compiler.is_compiling() or is_wrapped(y)
