"""The sharp image of a blurred one, both as layers of napari."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ... import gallery
from ..._core.typing import ArrayInput, Callback
from ..._core.validation import choice
from ...imaging import deconvolve

BLURS = ("gaussian", "disc", "line", "layer")
PENALTIES = ("smooth", "total variation", "photon counts")
# what the result takes over from the layer
KEPT = (
    *("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels"),
    *("contrast_limits", "colormap", "gamma", "rgb", "blending", "interpolation2d"),
)
SIGMAS = 3  # of a Gaussian that are drawn


@dataclass(frozen=True)
class Blur:
    """The point spread function that a user describes.

    Attributes
    ----------
    kind : {"gaussian", "disc", "line", "layer"}
        Blur of an optical system, of a lens out of focus, of a motion along a line, or
        the pixels of a layer.
    size : float
        In pixels: the standard deviation, the radius, or the length.
    angle : float
        Of the line, in degrees from across, counterclockwise.
    """

    kind: Literal["gaussian", "disc", "line", "layer"] = "gaussian"
    size: float = 2.0
    angle: float = 0.0

    def kernel(self, axes: int, layer: ArrayInput | None = None) -> np.ndarray:
        """The point spread function with this number of axes.

        Parameters
        ----------
        axes : int
            2 or 3.
        layer : array_like, optional
            What is in the layer, for the kind "layer".

        Returns
        -------
        ndarray
        """
        choice(self.kind, "kind", BLURS)
        if self.kind == "layer":
            return _of_layer(layer, axes)
        if self.kind == "gaussian":
            reach = math.ceil(SIGMAS * self.size)
            shape, widths = (2 * reach + 1,) * axes, (self.size,) * axes
            return gallery.gaussian_kernel(shape, widths)
        if self.kind == "disc":
            flat = gallery.disc_kernel(self.size)
        else:
            flat = gallery.line_kernel(self.size, self.angle)
        return flat.reshape((1,) * (axes - 2) + flat.shape)


def _of_layer(layer: Any, axes: int) -> np.ndarray:
    if layer is None:
        raise ValueError("choose the layer that holds the point spread function")
    kernel = np.asarray(layer)
    lengths = [n for n in kernel.shape if n > 1]
    if len(lengths) > axes:
        raise ValueError(
            f"the layer of the point spread function must have {axes} axes, got shape "
            f"{kernel.shape}"
        )
    if kernel.ndim == axes:
        return kernel
    return kernel.reshape((1,) * (axes - len(lengths)) + tuple(lengths))


@dataclass(frozen=True)
class Restoration:
    """How a scene is found.

    Attributes
    ----------
    penalty : {"smooth", "total variation", "photon counts"}
        For photographs; for scenes of even parts with sharp edges; for counts, whose
        noise grows with the brightness.
    strength : float, optional
        Of the penalty; by default chosen from the picture.
    boundary : str
        What is beyond the frame, as `convinv.imaging.deconvolve` has it.
    volume : bool
        Whether the last three axes are a volume, and not a stack of pictures.
    """

    penalty: Literal["smooth", "total variation", "photon counts"] = "smooth"
    strength: float | None = None
    boundary: str = "unknown"
    volume: bool = False

    def options(self) -> dict[str, Any]:
        """The options of `convinv.imaging.deconvolve`.

        Returns
        -------
        dict
        """
        choice(self.penalty, "penalty", PENALTIES)
        counts = self.penalty == "photon counts"
        return {
            "model": "poisson" if counts else "gaussian",
            "regularizer": "gradient" if self.penalty == "smooth" else "tv",
            "strength": "auto" if self.strength is None else self.strength,
            "boundary": self.boundary,
        }


def restored_layer(
    image: ArrayInput,
    attributes: dict[str, Any] | None = None,
    blur: Blur | None = None,
    restoration: Restoration | None = None,
    *,
    psf: ArrayInput | None = None,
    callback: Callback = None,
) -> tuple[np.ndarray, dict[str, Any], str]:
    """The layer of the sharp image for the layer of a blurred one.

    Parameters
    ----------
    image : array_like
        What is in the layer: a picture, colors in the last axis if ``rgb`` is an
        attribute, a stack of pictures, or a volume.
    attributes : dict, optional
        Of the layer: ``name``, ``rgb``, ``scale``, ``translate``, ``contrast_limits``,
        ... Those on place and display are kept.
    blur : Blur, optional
        By default a Gaussian with a standard deviation of 2 pixels.
    restoration : Restoration, optional
    psf : array_like, optional
        What is in the layer of the point spread function.
    callback : callable, optional
        As `convinv.imaging.deconvolve` has it: called with the state of the search,
        which it ends by returning True.

    Returns
    -------
    data, attributes, kind
        A tuple as napari's readers make it. ``attributes["metadata"]["convinv"]`` says
        what was done.

    Raises
    ------
    ValueError, TypeError
        If the image and the point spread function do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.interop.napari import Blur, restored_layer
    >>> image = np.random.default_rng(0).random((32, 32))
    >>> data, attributes, kind = restored_layer(
    ...     image, {"name": "cells", "scale": (0.2, 0.2)}, Blur("disc", 1.5)
    ... )
    >>> attributes["name"], attributes["scale"], kind
    ('cells deconvolved', (0.2, 0.2), 'image')
    """
    given = dict(attributes or {})
    blur, restoration = blur or Blur(), restoration or Restoration()
    image, rgb = np.asarray(image), bool(given.get("rgb"))
    axes = 3 if restoration.volume else 2
    if image.ndim - rgb < axes:
        raise ValueError(
            f"a {'volume' if axes == 3 else 'picture'} has {axes} axes, the layer has "
            f"{image.ndim - rgb}"
        )
    kernel = blur.kernel(axes, psf)
    colors = image[..., :3] if rgb else image  # without how opaque pixels are
    result = deconvolve(
        _a_stack(colors, axes, rgb),
        kernel,
        channel_axis=-1 if rgb else None,
        preserve_range=True,
        callback=callback,
        return_result=True,
        **restoration.options(),
    )
    found = result.x.reshape(colors.shape)
    if rgb:
        found = np.concatenate([_shown(found, image.dtype), image[..., 3:]], axis=-1)
    kept = {name: given[name] for name in KEPT if name in given}
    facts = {
        "blur": asdict(blur),
        "restoration": asdict(restoration),
        "psf_shape": kernel.shape,
        "strength": result.extra["strength"],
        "noise": result.extra["noise"],
        "method": result.method,
        "iterations": result.nit,
        "success": result.success,
        "message": result.message,
        "seconds": result.seconds,
    }
    metadata = {**given.get("metadata", {}), "convinv": facts}
    name = f"{given.get('name', 'image')} deconvolved"
    return found, {**kept, "name": name, "metadata": metadata}, "image"


def _a_stack(image: np.ndarray, axes: int, rgb: bool) -> np.ndarray:
    """With two axes more, so that three or four columns are not taken for colors."""
    return image if rgb else image.reshape((-1, 1, *image.shape[-axes:]))


def _shown(colors: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Colors in the range and the dtype that napari shows them in."""
    if dtype.kind in "iu":
        return np.rint(colors).clip(0, np.iinfo(dtype).max).astype(dtype)
    return colors.clip(0, 1).astype(dtype)
