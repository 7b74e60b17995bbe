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


def timeraw_import():
    return "import convinv"


def timeraw_import_scipy():
    return "import scipy.sparse.linalg"


def timeraw_import_over_scipy():
    return "import convinv", "import scipy.sparse.linalg"


def timeraw_first_product():
    """With the compiled kernels in numba's cache on disk."""
    return PRODUCT


def timeraw_compile():
    """With an empty cache: compilation of the forward product."""
    return PRODUCT, FRESH


for benchmark in (
    timeraw_import,
    timeraw_import_scipy,
    timeraw_import_over_scipy,
    timeraw_first_product,
    timeraw_compile,
):
    benchmark.number, benchmark.repeat = 1, (3, 10, 20.0)
timeraw_compile.repeat = 1
