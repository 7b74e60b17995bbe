"""Reports on layers: what `convinv` says of their operators."""

from __future__ import annotations

from torch import nn

from ... import _report, spectra
from ..._core.typing import Seed, Shape
from ..._report import LayerReport
from ...operators._base import ShapedOperator
from ...spectra import Spectrum
from ._layers import map_of, read
from ._tensors import array_of


def layer_report(
    layer: nn.Module, input_shape: Shape, *, rng: Seed = None
) -> LayerReport:
    """Report whether a layer is invertible, where not, and how it amplifies noise.

    Parameters
    ----------
    layer, input_shape
        As `operator` takes them. A linear layer is reported on as a convolution of
        kernel size 1.
    rng : None, int or numpy.random.Generator
        See `convinv.layer_report`.

    Returns
    -------
    convinv.LayerReport
        Of the layer without its bias.

    Raises
    ------
    TypeError, ValueError, ImportError
        As `operator` does.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.torch import layer_report
    >>> layer = torch.nn.Conv2d(3, 16, 3, stride=2)
    >>> layer_report(layer, (3, 17, 17)).verdict
    'invertible: full column rank'
    """
    return _report.layer_report(_convolution(layer, input_shape), rng=rng)


def spectrum(
    layer: nn.Module,
    input_shape: Shape,
    *,
    steps: int | None = None,
    rng: Seed = None,
) -> Spectrum:
    """The singular values of a layer, exact if possible.

    Parameters
    ----------
    layer, input_shape
        As `operator` takes them. A linear layer is a convolution of kernel size 1.
    steps, rng
        See `convinv.spectra.spectrum`.

    Returns
    -------
    convinv.spectra.Spectrum
        Of the layer without its bias.

    Raises
    ------
    TypeError, ValueError, ImportError
        As `operator` does.

    Examples
    --------
    >>> import torch
    >>> from convinv.interop.torch import spectrum
    >>> layer = torch.nn.ConvTranspose2d(8, 3, 2, stride=2)
    >>> found = spectrum(layer, (8, 10, 10))
    >>> found.exact, found.rank
    (True, 800)
    """
    return spectra.spectrum(_convolution(layer, input_shape), steps=steps, rng=rng)


def _convolution(layer: nn.Module, input_shape: Shape) -> ShapedOperator:
    """The operator of a layer, of a linear one too as a convolution."""
    found = read(layer)
    return map_of(found, input_shape).operator(array_of(found.weight))
