"""ConvInverse: the decoder that is the inverse of a layer."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..._core.result import OnFailure, check_on_failure
from ..._core.typing import Shape
from ..._core.validation import number
from .._call import Call
from .._layer_map import LayerMap
from ._conv_solve import solved, tolerances
from ._layers import ReadLayer, map_of, read
from ._sizes import fitted


class ConvInverse(nn.Module):
    """The inverse of a layer as a module: a decoder in the place of an up-convolution.

    Maps the layer's output to the input x of least ``||layer(x) - y||^2 + damp^2
    ||x||^2``, of least norm among several.

    Parameters
    ----------
    layer : nn.Conv1d, 2d, 3d, nn.ConvTranspose1d, 2d, 3d or nn.Linear
        With its bias, parametrized or not.
    input_shape : tuple of int, optional
        ``(C_in, *spatial)`` of the layer's input. By default it follows from y where
        the stride is 1; otherwise `forward` needs its ``output_size``.
    damp : float
        Tikhonov damping, not negative.
    learn_damp : bool
        Whether `damp` is a parameter to be trained. Its sign does not count.
    tied : bool
        Whether it uses the layer's own weights, which stay those of the layer (the
        module is registered as ``layer``, so that ``parameters`` counts them once in a
        model that has both); if not, a copy, to be trained on its own.
    method, rtol, on_failure
        As in `conv_solve`.

    Attributes
    ----------
    layer : nn.Module
        The layer or its copy.
    damp : float or nn.Parameter
    last : SolveResult or None
        Of the latest `forward` in this process, without x: ``last.success``,
        ``last.method``, ``last.error_bound``. Compiled modules do not set it.

    Raises
    ------
    TypeError, ValueError
        If `layer` is no such layer, `input_shape` does not fit it, or `damp` is
        negative, or 0 with `learn_damp` (the gradient by it would stay 0).

    Notes
    -----
    Gradients as in `conv_solve`, by y and by the weights. In half precision and under
    `torch.autocast` it computes in float32 and returns y's dtype.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.torch import ConvInverse
    >>> encoder = torch.nn.Conv2d(3, 16, 4, stride=2)
    >>> decoder = ConvInverse(encoder, (3, 32, 32))
    >>> x = torch.rand(8, 3, 32, 32)
    >>> bool((decoder(encoder(x)) - x).abs().max() < 1e-3)
    True
    >>> decoder.last.success
    True
    """

    def __init__(
        self,
        layer: nn.Module,
        input_shape: Shape | None = None,
        *,
        damp: float = 0.0,
        learn_damp: bool = False,
        tied: bool = True,
        method: str = "auto",
        rtol: float | None = None,
        on_failure: OnFailure = "warn",
    ):
        super().__init__()
        found = read(layer)
        check_on_failure(on_failure)
        damp = number(damp, "damp")
        if learn_damp and not damp:
            raise ValueError(
                "learn_damp needs a damp above 0 to start from: the gradient by it is "
                "0 at 0"
            )
        self.layer = layer if tied else copy.deepcopy(layer)
        self.input_shape = None if input_shape is None else tuple(input_shape)
        if self.input_shape is not None:
            map_of(found, self.input_shape)  # refuses what does not fit
        self.tied, self.method, self.rtol = tied, method, rtol
        self.on_failure: OnFailure = on_failure
        self.damp: float | Tensor = damp
        if learn_damp:
            del self.damp
            real = found.weight.real.dtype
            self.damp = nn.Parameter(
                torch.tensor(damp, dtype=real, device=found.weight.device)
            )
        self.last: Any = None  # a type checker need not ask whether it is set

    def forward(self, y: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """The layer's input.

        Parameters
        ----------
        y : Tensor, shape (N, C_out, *spatial) or (C_out, *spatial)
            Of a linear layer ``(..., out_features)``.
        output_size : sequence of int, optional
            Spatial size of the result, as `torch.nn.ConvTranspose2d` takes it: with or
            without the axes before.

        Returns
        -------
        x : Tensor, shape (N, C_in, *spatial) or (C_in, *spatial)

        Raises
        ------
        ValueError
            If y does not fit, or several sizes fit and none is given: the error lists
            them.
        """
        found = read(self.layer)
        if found.linear:
            return self._linear(found, y)
        if self.input_shape is None or output_size is not None:
            found, shape = fitted(found, y.shape, output_size)
        else:
            shape = self.input_shape
        return self._solved(found, y, map_of(found, shape))

    def extra_repr(self) -> str:
        """What `print` shows beside the layer."""
        learned = isinstance(self.damp, Tensor)
        damp = self.damp.detach() if isinstance(self.damp, Tensor) else self.damp
        parts = [f"damp={float(damp):.4g}" + (", learned" if learned else "")]
        if self.input_shape is not None:
            parts.insert(0, f"input_shape={self.input_shape}")
        return ", ".join([*parts, f"tied={self.tied}"])

    def _linear(self, found: ReadLayer, y: Tensor) -> Tensor:
        """Rows through the matrix, as a convolution of kernel size 1."""
        outputs, inputs = found.weight.shape[:2]
        if y.shape[-1:] != (outputs,):
            raise ValueError(
                f"y must have shape (..., {outputs}), got {tuple(y.shape)}"
            )
        rows = y.reshape(-1, outputs, 1)
        x = self._solved(found, rows, map_of(found, (inputs, 1)))
        return x.reshape(*y.shape[:-1], inputs)

    def _solved(self, found: ReadLayer, y: Tensor, layer_map: LayerMap) -> Tensor:
        rtols = tolerances(self.rtol, y, found.weight)
        call = Call(layer_map, self.method, *rtols, self.on_failure)
        damp = self.damp.abs() if isinstance(self.damp, Tensor) else self.damp
        x = solved(y, found.weight, found.bias, damp, None, call)
        if call.result is not None:
            self.last = dataclasses.replace(call.result, x=None)
        return x
