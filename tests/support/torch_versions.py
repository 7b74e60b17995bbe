"""What only later ones of the supported versions of PyTorch can do."""

import pytest
import torch

COMPILES = pytest.mark.skipif(
    torch.__version__ < (2, 9), reason="the compiler of PyTorch before 2.9"
)
