"""A layer on the command line: its file, and the options of its convolution."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import ConvLinearOperator, _files
from ..interop import _torch_weights
from ._errors import UsageError
from ._output import times
from ._words import boundary, integer, padding, per_axis

OPTIONS = ("stride", "padding", "dilation", "groups", "boundary", "flip")
AXES = (3, 4, 5)  # of a kernel (C_out, C_in, *k)


@dataclass(frozen=True)
class Layer:
    """A convolution layer in a file.

    Attributes
    ----------
    name : str
        For people.
    kernel : ndarray, shape (C_out, C_in // groups, *k)
    bias : ndarray, shape (C_out,), optional
    options : dict
        Of `ConvLinearOperator`.
    """

    name: str
    kernel: np.ndarray
    bias: np.ndarray | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """Channels of the input."""
        return self.kernel.shape[1] * self.options.get("groups", 1)

    def operator(self, size: tuple[int, ...]) -> ConvLinearOperator:
        """The layer on inputs with this size of the spatial axes."""
        return ConvLinearOperator(self.kernel, (self.channels, *size), **self.options)

    def __str__(self) -> str:
        c_out, _, *size = self.kernel.shape
        words = f"{self.channels} -> {c_out} channels, {times(size)} ({self.name})"
        return words if self.bias is None else f"{words}, with a bias"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments that name a layer."""
    parser.add_argument(
        "layer",
        metavar="LAYER",
        help="the kernel (C_out, C_in, height, width) in a .npy or .npz file; a "
        "PyTorch state dict (.pt, .pth) or an ONNX model with a convolution",
    )
    group = parser.add_argument_group("the layer")
    group.add_argument(
        "--key",
        metavar="NAME",
        help="the array, the layer of the state dict or the node of the model",
    )
    add_convolution(group)


def add_convolution(group: Any) -> None:
    """The arguments that are the options of a convolution."""
    group.add_argument("--stride", type=per_axis, metavar="N[,N..]", help="default: 1")
    group.add_argument(
        "--padding",
        type=padding,
        metavar="P",
        help="same, valid, N, or N or BEFORE:AFTER for each axis (default: 0)",
    )
    group.add_argument(
        "--dilation", type=per_axis, metavar="N[,N..]", help="default: 1"
    )
    group.add_argument("--groups", type=integer, metavar="N", help="default: 1")
    group.add_argument(
        "--boundary",
        type=boundary,
        metavar="NAME",
        help="how padded samples are made: zero, periodic, reflect, symmetric or "
        "replicate (default: zero)",
    )
    group.add_argument(
        "--flip",
        action="store_true",
        default=None,
        help="mathematical convolution instead of correlation",
    )


def convolution_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options of a convolution that were given."""
    given = {name: getattr(args, name) for name in OPTIONS}
    return {name: value for name, value in given.items() if value is not None}


def read_layer(args: argparse.Namespace) -> Layer:
    """The layer that the arguments name; what they say goes before what the file says.

    Raises
    ------
    ValueError, OSError
        If there is none, or several and no key.
    ImportError
        Without the package that reads the file.
    """
    path = Path(args.layer)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        found = _from_onnx(path, args.key, args.padding is not None)
    elif suffix in (".pt", ".pth"):
        found = _chosen(_torch_weights.read(path), args.key, path)
    elif suffix == ".npz":
        found = _chosen(_files.load_arrays(path), args.key, path)
    elif suffix == ".npy":
        if args.key is not None:
            raise UsageError(f"--key: the array in {str(path)!r} has no name")
        found = Layer(path.name, _files.load_array(path))
    else:
        raise ValueError(f"{str(path)!r} must end in .npy, .npz, .pt, .pth or .onnx")
    kernel = found.kernel
    if kernel.ndim == 2:
        kernel = kernel[None, None]
    if kernel.ndim not in AXES or 0 in kernel.shape or kernel.dtype.kind not in "fciu":
        raise ValueError(
            f"{str(path)!r} must hold a kernel (C_out, C_in, *k) with one to three "
            f"axes of taps, or (height, width), got shape {found.kernel.shape} of "
            f"{kernel.dtype}"
        )
    if not np.isfinite(kernel).all() or not kernel.any():
        raise ValueError(f"the kernel in {str(path)!r} must be finite and not all zero")
    options = {**found.options, **convolution_options(args)}
    return Layer(found.name, kernel, found.bias, options)


def _chosen(arrays: Mapping[str, np.ndarray], key: str | None, path: Path) -> Layer:
    """The kernel with this name, or the only one, and the bias beside it."""
    kernels = [name for name, a in arrays.items() if a.ndim in AXES]
    if key is not None:
        names = [name for name in (key, f"{key}.weight") if name in arrays]
    else:
        names = kernels or list(arrays)
    if len(names) != 1:
        listed = ", ".join(kernels) or "none"
        what = "name one by --key" if key is None else f"none of them is {key!r}"
        raise ValueError(f"{str(path)!r} holds kernels under {listed}: {what}")
    (name,) = names
    stem = name.removesuffix("weight").removesuffix("kernel")
    bias = arrays.get(f"{stem}bias") if stem != name else None
    return Layer(f"{path.name}, {name}", arrays[name], bias)


def _from_onnx(path: Path, key: str | None, padded: bool) -> Layer:
    from ..interop import onnx  # which says what is missing

    found = {k: c for k, c in onnx.convolutions(path).items() if not c.transposed}
    names = [name for name in found if key is None or name == key]
    if len(names) != 1:
        listed = ", ".join(found) or "none"
        what = "name one by --key" if key is None else f"none of them is {key!r}"
        raise ValueError(f"{str(path)!r} has convolutions {listed}: {what}")
    node = found[names[0]]
    if node.pads is None and not padded:
        raise ValueError(
            f"auto_pad {node.auto_pad} of {names[0]} depends on the input: give "
            "--padding BEFORE:AFTER"
        )
    options = {**node.options, "padding": node.pads}
    return Layer(f"{path.name}, {names[0]}", node.kernel, node.bias, options)
