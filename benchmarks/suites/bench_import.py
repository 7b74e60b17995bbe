"""Import time, and the first product of a process; each sample is a new process."""

PRODUCT = """
import numpy as np
from convinv import ConvLinearOperator
op = ConvLinearOperator(np.ones((8, 3, 3, 3)), (3, 32, 32))
op.forward(np.ones((3, 32, 32)))
"""
FRESH = """
import os, tempfile
os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp()
"""


class Import:
    number, repeat = 1, (3, 10, 10.0)

    def timeraw_import(self):
        return "import convinv"

    def timeraw_import_scipy(self):
        return "import scipy.sparse.linalg"

    def timeraw_import_over_scipy(self):
        return "import convinv", "import scipy.sparse.linalg"


class FirstProduct:
    """Import, loading or compiling of the kernel, and one small product."""

    number, repeat = 1, 1

    def timeraw_cached(self):
        return PRODUCT

    def timeraw_compiled(self):
        """With an empty cache of compiled kernels."""
        return PRODUCT, FRESH
