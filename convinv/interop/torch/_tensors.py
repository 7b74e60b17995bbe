"""Tensors as arrays in the same memory, and back."""

from __future__ import annotations

from typing import Any

import torch

from ..._core.typing import AnyArray
from ..dlpack import from_dlpack

DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)
HALVES = (torch.float16, torch.bfloat16)


def check_tensor(tensor: Any, name: str, halves: bool = False) -> None:
    """Refuse what is no tensor of a dtype that is computed with, or of half of it."""
    is_tensor = isinstance(tensor, torch.Tensor)
    dtypes = HALVES + DTYPES if halves else DTYPES
    if not is_tensor or tensor.dtype not in dtypes:
        kind = tensor.dtype if is_tensor else type(tensor).__name__
        names = ", ".join(str(d).removeprefix("torch.") for d in dtypes)
        raise TypeError(f"{name} must be a tensor of dtype {names}, got {kind}")


def is_wrapped(tensor: torch.Tensor) -> bool:
    """Whether it is inside a transform of `torch.func`, where it has no memory."""
    return torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def array_of(tensor: torch.Tensor) -> AnyArray:
    """The tensor's values as an array of NumPy or CuPy, without a gradient.

    In the same memory but for half precision, which becomes float32.
    """
    tensor = tensor.detach()
    if tensor.dtype in HALVES:
        tensor = tensor.float()
    return from_dlpack(tensor)


def tensor_of(array: AnyArray, like: torch.Tensor) -> torch.Tensor:
    """The array's values as a tensor on the device of `like`."""
    return torch.from_dlpack(array.copy() if _frozen(array) else array).to(like.device)


def _frozen(array: AnyArray) -> bool:
    flags = array.flags
    return not getattr(flags, "writeable", True) or not flags.c_contiguous
