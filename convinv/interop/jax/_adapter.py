"""Arrays of JAX where the package takes arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._core.adapters import Adapter
from ..._core.optional import optional
from ..._core.typing import AnyArray
from ..dlpack import from_dlpack

jax: Any = optional("jax", "convinv.interop.jax")

HALVES = ("float16", "bfloat16")


class JaxAdapter(Adapter):
    """Arrays of JAX on the CPU or a CUDA device."""

    def is_array(self, thing: Any) -> bool:
        return isinstance(thing, jax.Array)

    def snapshot(self, array: Any, name: str) -> AnyArray:
        if isinstance(array, jax.core.Tracer):
            raise TypeError(
                f"{name} is an array that JAX traces (under jit, grad or vmap), which "
                "has no numbers to be read: call convinv.interop.jax.conv_solve, "
                "conv_forward or conv_adjoint there"
            )
        if array.dtype.name in HALVES:
            array = array.astype(np.float32)
        if all(device.platform == "cpu" for device in array.devices()):
            return np.asarray(array)  # the same memory, read-only
        return from_dlpack(array)

    def restored(self, array: AnyArray, like: Any) -> Any:
        if isinstance(array, np.ndarray):
            found = jax.numpy.asarray(array)
        else:
            found = jax.dlpack.from_dlpack(array)
        halved = like.dtype.name in HALVES and found.dtype.kind == "f"
        found = found.astype(like.dtype) if halved else found
        return jax.device_put(found, like.sharding.device_set.pop())
