"""Operators, layers and arrays of other libraries, where the package takes its own.

Each module here is for one library, and is loaded when it is first used, as
``convinv.interop.pylops`` or by an import. One that is not installed is named by the
error, with the command that installs it.

============  ==========================================================  ==============
Library       What you get, in one line                                   Needs
============  ==========================================================  ==============
PyTorch       ``convinv.interop.torch.conv_solve(y, weight, shape)``,     torch >= 2.4
              and `ConvInverse`, ``Inverse``: inverses of layers, with
              gradients; tensors and layers go into `convinv.solve`
JAX           ``convinv.interop.jax.conv_solve(y, kernel, shape)``        jax >= 0.6
              under ``jit``, ``vmap`` and ``grad``; arrays go into
              `convinv.solve`
PyLops        ``convinv.interop.pylops.to_pylops(op)`` for its solvers    pylops >= 2.4
              and stacks; its operators go into `convinv.solve`
SigPy         ``convinv.interop.sigpy.to_sigpy(op)``, a ``Linop``; its    sigpy 0.1.27
              operators go into `convinv.solve`
ODL           ``convinv.interop.odl.to_odl(op)`` between spaces of ODL;   odl >= 1.0
              its linear operators go into `convinv.solve`
deepinv       ``convinv.interop.deepinv.ConvPhysics(op)``, a physics      deepinv >= 0.5
              with exact ``A_dagger`` and ``prox_l2``; its physics go
              into `convinv.solve`
scikit-image  ``convinv.interop.skimage.wiener(image, psf, balance)``     nothing
              and others named like its ``restoration``
ONNX          ``convinv.interop.onnx.operator(model, name, shape)`` of    onnx >= 1.17
              Conv and ConvTranspose nodes, ``Inverse`` of chains
napari        a widget, "Deconvolve", and what it computes:               napari >= 0.6
              ``convinv.interop.napari.restored_layer(image)``
============  ==========================================================  ==============

Arrays of any library that supports DLPack become NumPy or CuPy arrays by `from_dlpack`.
Operators of SciPy, of ``cupyx.scipy`` and objects with ``shape`` and ``matvec`` need no
adapter.
"""

from typing import TYPE_CHECKING

import lazy_loader

from .dlpack import from_dlpack

__all__ = ["from_dlpack"]

if TYPE_CHECKING:
    from . import deepinv, jax, napari, odl, onnx, pylops, sigpy, skimage, torch

_load, _submodules, _ = lazy_loader.attach(
    __name__,
    (
        "deepinv",
        "jax",
        "napari",
        "odl",
        "onnx",
        "pylops",
        "sigpy",
        "skimage",
        "torch",
    ),
)

if not TYPE_CHECKING:  # from which it would hide wrong names
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted({*__all__, *_submodules()})
