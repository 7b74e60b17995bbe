"""Let this environment's torchvision, which deepinv imports, be imported.

The wheel on PyPI is made for CUDA: beside a PyTorch without CUDA its compiled operators
don't load, and torchvision then fails as it describes operators that nobody has
declared. A ``.pth`` file declares their names, which is all that deepinv needs.
"""

import pathlib
import sysconfig

SITE = pathlib.Path(sysconfig.get_path("purelib"))
MODULE = '''"""Declares torchvision's operators before torchvision is imported."""

import importlib.abc
import sys

NAMES = """nms qnms deform_conv2d _deform_conv2d_backward roi_align qroi_align
    _roi_align_backward ps_roi_align _ps_roi_align_backward roi_pool qroi_pool
    _roi_pool_backward ps_roi_pool _ps_roi_pool_backward""".split()


class Declare(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            self.library = torch.library.Library("torchvision", "DEF")
            for operator in NAMES:
                self.library.define(f"{operator}(Tensor a) -> Tensor")
            sys.torchvision_names = self.library  # kept, or the names go with it
        return None


sys.meta_path.insert(0, Declare())
'''

(SITE / "torchvision_names.py").write_text(MODULE, encoding="utf-8")
(SITE / "torchvision_names.pth").write_text(
    "import torchvision_names\n", encoding="utf-8"
)
