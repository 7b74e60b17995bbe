"""A plugin of napari: the widget "Deconvolve", and pictures to try it on.

napari finds it by itself where both are installed: Plugins, Deconvolve (convinv). In a
script, ``viewer.window.add_dock_widget(Deconvolve(viewer))`` shows it. `restored_layer`
is what the widget computes, for which napari is not needed.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ..._core.optional import optional
from ._layer import Blur, Restoration, restored_layer

__all__ = ["Blur", "Restoration", "restored_layer"]

if TYPE_CHECKING:
    from ._widget import Deconvolve
else:  # from which it would hide wrong names

    def __getattr__(name: str) -> Any:
        """``Deconvolve``, loaded when it is asked for."""
        if name != "Deconvolve":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        optional("napari", f"{__name__}.{name}")
        return importlib.import_module(f"{__name__}._widget").Deconvolve
