"""What a convolution is made of: a kernel and options, or a layer that has both."""

from typing import Any

from .._core.adapters import adapter_of, snapshot
from ._options import DEFAULTS


def kernel_and_options(kernel: Any, options: dict[str, Any]) -> tuple[Any, dict]:
    """The kernel as an array or a list, and the options: a layer says both itself."""
    adapter = adapter_of(kernel)
    if adapter is None or not adapter.is_layer(kernel):
        return snapshot(kernel, "kernel"), options
    array, own = adapter.convolution(kernel)
    given = [name for name, value in options.items() if not _is_default(name, value)]
    if given:
        raise TypeError(
            f"{', '.join(given)} can't be given beside a layer, which says its options "
            f"itself: leave them out, or {adapter.way_out(kernel)}"
        )
    return array, {**options, **own}


def _is_default(name, value):
    default = DEFAULTS[name]
    return type(value) is type(default) and value == default
