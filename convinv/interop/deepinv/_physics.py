"""ConvPhysics: a convolution as a physics of deepinv, with its exact inverse."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from deepinv.physics import LinearPhysics, Physics
from torch import Tensor, nn
from torch.autograd import forward_ad

from ..._core.result import OnFailure, check_on_failure
from ..._core.typing import Shape
from ...operators._base import ShapedOperator
from .._call import Call
from .._layer_map import LayerMap
from ..torch._conv_solve import solved, tolerances
from ..torch._differentiable import Matrix
from ..torch._layers import (
    CONVOLUTIONS,
    TRANSPOSED,
    ReadLayer,
    map_of,
    read,
)
from ..torch._sizes import fitted
from ..torch._tensors import HALVES, array_of, is_wrapped
from ._filters import for_channels, image_size, layer_of_filter, layer_of_physics
from ._operators import tensor_map

SIZE = "give img_size to ConvPhysics"


class ConvPhysics(LinearPhysics):
    """A convolution as a physics of deepinv, with its exact inverse.

    Parameters
    ----------
    op : ConvLinearOperator, nn.Module, Physics, Tensor or array_like
        What is done to an image:

        - an operator, or its adjoint: a convolution, transposed or not;
        - a layer of PyTorch, from ``nn.Conv1d`` to ``nn.ConvTranspose3d``, whose
          weights stay its own (its bias is left out);
        - deepinv's ``Blur``, ``BlurFFT`` or ``Downsampling``, whose noise model is
          taken over;
        - a filter, as its ``Blur`` takes one: ``(1, 1, h, w)`` or ``(h, w)`` for all
          channels, ``(1, C, h, w)`` for each, or with three axes. An array of NumPy
          gets PyTorch's default dtype.
    img_size : tuple of int, optional
        ``(C, *spatial)`` of one image. Without it, images of any size are taken, and
        the size of what `A_dagger` returns follows from y where the stride is 1.
    padding : {"valid", "circular", "replicate", "reflect", "constant", "symmetric"}
        Of a filter: how the image goes on beyond its frame, as deepinv's ``Blur`` has
        it; by default the result is smaller than the image.
    stride : int or tuple of int
        Of a filter: pixels of the image per pixel of the result.
    method, rtol, on_failure
        Of `A_dagger` and `prox_l2`, as `convinv.solve` has them; `rtol` is by default
        1e-6 in single and 1e-10 in double precision.
    noise_model, **kwargs
        As ``LinearPhysics`` has them: ``sensor_model``, ``device``, ...

    Attributes
    ----------
    kernel : Tensor
        The weight of the correlation, a buffer that ``.to(...)`` moves; of a layer's
        physics there is ``layer`` instead.
    last : SolveResult or None
        Of the latest `A_dagger` or `prox_l2`, without x.

    Raises
    ------
    TypeError, ValueError
        If `op` is none of these, or `img_size` does not fit it.

    Notes
    -----
    `A`, `A_adjoint`, `A_dagger` and `prox_l2` are differentiable to any order, by what
    they are applied to, gamma, and the weights of a layer. Inverses are made once for a
    kernel and a size, and kept.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.deepinv import ConvPhysics
    >>> psf = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    >>> physics = ConvPhysics(psf, (3, 32, 32), padding="constant")
    >>> x = torch.rand(4, 3, 32, 32)
    >>> y = physics(x)
    >>> bool((physics.A_dagger(y) - x).abs().max() < 1e-2)
    True
    """

    def __init__(
        self,
        op: Any,
        img_size: Shape | None = None,
        *,
        padding: str = "valid",
        stride: Any = 1,
        method: str = "auto",
        rtol: float | None = None,
        on_failure: OnFailure = "warn",
        noise_model: Any = None,
        **kwargs: Any,
    ):
        if noise_model is not None:
            kwargs["noise_model"] = noise_model
        elif isinstance(op, Physics):
            kwargs["noise_model"] = op.noise_model
        check_on_failure(on_failure)
        super().__init__(**kwargs)
        self.method, self.rtol = method, rtol
        self.on_failure: OnFailure = on_failure
        self.last: Any = None
        self._fixed: LayerMap | None = None
        self._options: dict[str, Any] = {}
        if isinstance(op, (*CONVOLUTIONS, *TRANSPOSED)):
            self._refuse_options(op, padding, stride)
            self.layer = op
        elif isinstance(op, ShapedOperator):
            self._refuse_options(op, padding, stride)
            self._fixed, kernel = tensor_map(op)
            self.register_buffer("kernel", kernel)
            img_size = self._own_size(self._fixed.input_shape, img_size)
        else:
            found = self._read(op, padding, stride)
            self._options = found.options
            self.register_buffer("kernel", found.weight.detach().clone())
            img_size = image_size(op) if img_size is None else img_size
        self.img_size = None if img_size is None else tuple(img_size)
        if self.img_size is not None:
            self._map(self.img_size)  # refuses what does not fit
        self.to(kwargs.get("device", self._weight().device))

    @staticmethod
    def _refuse_options(op: Any, padding: str, stride: Any) -> None:
        if padding != "valid" or stride != 1:
            raise ValueError(
                f"padding and stride are for a filter: the {type(op).__name__} has its "
                "own"
            )

    @staticmethod
    def _own_size(own: tuple[int, ...], given: Shape | None) -> tuple[int, ...]:
        if given is not None and tuple(given) != own:
            raise ValueError(f"img_size of this operator is {own}, got {tuple(given)}")
        return own

    def _read(self, op: Any, padding: str, stride: Any) -> ReadLayer:
        if not isinstance(op, nn.Module):
            return layer_of_filter(op, padding, stride)
        self._refuse_options(op, padding, stride)
        found = layer_of_physics(op) if isinstance(op, Physics) else None
        if found is None:
            raise TypeError(
                "op must be a ConvLinearOperator, a convolution layer of PyTorch, "
                "deepinv's Blur, BlurFFT or Downsampling, or a filter, got "
                f"{type(op).__name__}"
            )
        return found

    # The map of images of a size

    def _weight(self) -> Tensor:
        return self.kernel if "kernel" in self._buffers else read(self.layer).weight

    def _read_layer(self) -> ReadLayer:
        if "kernel" not in self._buffers:
            return read(self.layer)
        return ReadLayer(self.kernel, None, self._options)

    @property
    def _is_shared(self) -> bool:
        """Whether one filter is for all channels, which are items of a batch then."""
        return bool(self._options) and self._options["groups"] == 1

    def _map(self, image: tuple[int, ...]) -> LayerMap:
        """The map of images of shape ``(C, *spatial)``."""
        if self.img_size is not None and image != self.img_size:
            raise ValueError(
                f"x must have shape (B, {', '.join(map(str, self.img_size))}), got "
                f"images of {image}"
            )
        if self._fixed is not None:
            return self._fixed
        return map_of(self._read_layer(), self._item(image))

    def _map_to(self, measured: tuple[int, ...]) -> LayerMap:
        """The map whose results have the shape ``(C, *spatial)``."""
        if self.img_size is not None:
            return self._map(self.img_size)
        found, shape = fitted(self._read_layer(), self._item(measured), None, SIZE)
        return map_of(found, shape)

    def _item(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (1, *shape[1:]) if self._is_shared else shape

    def _items(self, x: Tensor, name: str, wanted: tuple[int, ...] | None) -> Tensor:
        """A batch in which channels are items where they share their filter."""
        axes = self._weight().ndim - 1
        if x.ndim != axes + 1 or wanted not in (None, tuple(x.shape[1:])):
            inner = "C, *spatial" if wanted is None else ", ".join(map(str, wanted))
            raise ValueError(
                f"{name} must have shape (B, {inner}), got {tuple(x.shape)}"
            )
        return x.flatten(0, 1)[:, None] if self._is_shared else x

    def _joined(self, items: Tensor, like: Tensor) -> Tensor:
        if not self._is_shared:
            return items
        return items[:, 0].unflatten(0, tuple(like.shape[:2]))

    # deepinv's methods

    def A(self, x: Tensor, **kwargs: Any) -> Tensor:
        """The convolution of images.

        Parameters
        ----------
        x : Tensor, shape (B, C, *spatial)
        **kwargs
            New values of ``kernel``, as deepinv's physics take their parameters.

        Returns
        -------
        Tensor
            Without noise.
        """
        self.update_parameters(**kwargs)
        items = self._items(x, "x", None)
        return self._joined(self._apply_map(self._map(tuple(x.shape[1:])), items), x)

    def A_adjoint(self, y: Tensor, **kwargs: Any) -> Tensor:
        """The adjoint.

        Parameters
        ----------
        y : Tensor, shape (B, C, *spatial)
        **kwargs
            As `A`.

        Returns
        -------
        Tensor
        """
        self.update_parameters(**kwargs)
        layer_map, items = self._measured(y)
        return self._joined(self._apply_map(layer_map, items, adjoint=True), y)

    def A_dagger(self, y: Tensor, **kwargs: Any) -> Tensor:
        """The pseudoinverse: the image of least norm among those that fit y best.

        Parameters
        ----------
        y : Tensor, shape (B, C, *spatial)
        **kwargs
            As `A`. ``solver``, ``max_iter``, ``tol`` and ``verbose``, which deepinv's
            iterations have, are taken and not needed.

        Returns
        -------
        Tensor
        """
        self.update_parameters(**kwargs)
        layer_map, items = self._measured(y)
        return self._joined(self._solved(layer_map, items, 0.0), y)

    def prox_l2(
        self,
        z: Tensor | float | None,
        y: Tensor,
        gamma: float | Tensor,
        **kwargs: Any,
    ) -> Tensor:
        """The x of least ``gamma / 2 ||A x - y||^2 + ||x - z||^2 / 2``.

        Parameters
        ----------
        z : Tensor, float or None
            Images, one number for all pixels, or None for zero.
        y : Tensor, shape (B, C, *spatial)
        gamma : float or Tensor
            Above 0; one number, or one for each item of the batch.
        **kwargs
            As `A_dagger`.

        Returns
        -------
        Tensor
        """
        self.update_parameters(**kwargs)
        gammas = gamma.reshape(-1) if isinstance(gamma, Tensor) else None
        if gammas is not None and len(gammas) > 1:
            return self._prox_of_each(z, y, gammas)
        weight = gamma if gammas is None else gammas[0]
        if not weight > 0:
            raise ValueError(f"gamma must be above 0, got {float(weight):.4g}")
        layer_map, items = self._measured(y)
        damp = weight**-0.5
        if not isinstance(z, Tensor):
            start = items.new_full((len(items), *layer_map.input_shape), z or 0.0)
        else:
            wanted = self._of_channels(layer_map.input_shape, y)
            start = self._items(z, "z", wanted)
        rest = items - self._apply_map(layer_map, start)
        return self._joined(start + self._solved(layer_map, rest, damp), y)

    def _prox_of_each(self, z: Any, y: Tensor, gammas: Tensor) -> Tensor:
        if len(gammas) != len(y):
            raise ValueError(
                f"gamma must hold one number or one for each of the {len(y)} items, "
                f"got {len(gammas)}"
            )
        starts = z if isinstance(z, Tensor) else [z] * len(y)
        parts = [
            self.prox_l2(start[None] if isinstance(start, Tensor) else start, one, g)
            for start, one, g in zip(starts, y[:, None], gammas)
        ]
        return torch.cat(parts)

    def operator(self, shape: Shape, name: str = "y", side: str = "output") -> Any:
        """The convolution as an operator of convinv.

        Parameters
        ----------
        shape : tuple of int
            Of measurements, or of images, with or without a batch: ``(B, C,
            *spatial)``.
        name : str
            What errors call what has this shape.
        side : {"output", "input"}
            Whether it is the shape of measurements or of images.

        Returns
        -------
        ShapedOperator
            With a copy of the kernel.
        """
        weight = self._weight()
        axes, shape = weight.ndim - 1, tuple(shape)
        if len(shape) not in (axes, axes + 1):
            raise ValueError(
                f"{name} must have shape (B, C, *spatial) or (C, *spatial) with "
                f"{axes - 1} spatial axes, got {shape}"
            )
        item = shape[-axes:]
        one = self._map(item) if side == "input" else self._map_to(item)
        kernel = array_of(weight).copy()
        if not self._is_shared or item[0] == 1:
            return one.operator(kernel)
        found = for_channels(self._read_layer(), item[0])
        each = map_of(found, (item[0], *one.input_shape[1:]))
        return each.operator(array_of(found.weight).copy())

    # What they are made of

    def _measured(self, y: Tensor) -> tuple[LayerMap, Tensor]:
        self._items(y, "y", None)
        layer_map = self._map_to(tuple(y.shape[1:]))
        wanted = self._of_channels(layer_map.output_shape, y)
        return layer_map, self._items(y, "y", wanted)

    def _of_channels(self, item: tuple[int, ...], y: Tensor) -> tuple[int, ...]:
        """The shape of an item of a map with all channels."""
        if not self._is_shared:
            return item
        channels = y.shape[1] if self.img_size is None else self.img_size[0]
        return (channels, *item[1:])

    def _apply_map(self, m: LayerMap, x: Tensor, adjoint: bool = False) -> Tensor:
        weight = self._weight()
        dtype = torch.promote_types(x.dtype, weight.dtype)
        dtype = torch.float32 if dtype in HALVES else dtype
        with torch.autocast(x.device.type, enabled=False):
            data, weight = x.to(dtype), weight.to(dtype)
            matrix = Matrix(Call(m), weight, adjoint)
            with torch.set_grad_enabled(_is_followed(data, weight)):
                y = matrix.apply(data)
        return y.to(x.dtype if x.is_complex() == dtype.is_complex else dtype)

    def _solved(self, m: LayerMap, y: Tensor, damp: float | Tensor) -> Tensor:
        weight = self._weight()
        call = Call(m, self.method, *tolerances(self.rtol, y, weight), self.on_failure)
        x = solved(y, weight, None, damp, None, call)
        if call.result is not None:
            self.last = dataclasses.replace(call.result, x=None)
        return x


def _is_followed(*tensors: Tensor) -> bool:
    """Whether products are differentiated: PyTorch's own are, ours are faster."""
    if any(map(is_wrapped, tensors)):
        return torch.is_grad_enabled()
    if any(forward_ad.unpack_dual(t).tangent is not None for t in tensors):
        return True
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
