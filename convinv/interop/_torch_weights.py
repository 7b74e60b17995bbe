"""The arrays of a file that PyTorch saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .._core.optional import optional


def read(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict by their names, floating-point ones as float32 or 64.

    Only numbers are read, no code of the file runs. Raises ValueError for a file that
    holds anything else.
    """
    torch = optional("torch", "a state dict of PyTorch")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of zip, pickle and torch
        reason = str(error).partition("\n")[0][:120] or type(error).__name__
        raise ValueError(
            f"{str(path)!r} holds no state dict that can be read without running code "
            f"of the file; save model.state_dict() ({reason})"
        ) from error
    if isinstance(found, torch.Tensor):
        found = {"weight": found}
    for name in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict):
        raise ValueError(f"{str(path)!r} holds {type(found).__name__}, no state dict")
    tensors = {k: v for k, v in found.items() if isinstance(v, torch.Tensor)}
    return {str(name): _array(torch, tensor) for name, tensor in tensors.items()}


def _array(torch: Any, tensor: Any) -> np.ndarray:
    tensor = tensor.detach()
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()  # NumPy has no bfloat16
    return tensor.resolve_conj().resolve_neg().contiguous().numpy()
