"""Convolutions as physics of deepinv, with exact inverses, and its physics in `solve`.

`ConvPhysics` goes wherever deepinv takes a ``LinearPhysics``. The other way,
``convinv.solve(physics, y)`` takes what deepinv has: its blurs and its downsampling as
the convolutions that they are, other linear physics by ``A`` and ``A_adjoint``.
"""

from ..._core.optional import optional

optional("deepinv", "convinv.interop.deepinv")

from ._physics import ConvPhysics  # noqa: E402

__all__ = ["ConvPhysics"]
