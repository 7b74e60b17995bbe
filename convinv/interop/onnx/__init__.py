"""Convolutions of ONNX models as operators, and inverses of models that are chains.

`Inverse` needs PyTorch too; the model is not run.
"""

from ..._core.optional import optional

optional("onnx", "convinv.interop.onnx")

from ._chain import Inverse  # noqa: E402
from ._layers import Convolution, convolutions, operator  # noqa: E402

__all__ = ["Convolution", "Inverse", "convolutions", "operator"]
