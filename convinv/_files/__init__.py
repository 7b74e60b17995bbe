"""Files: pictures and arrays, read in full and written whole or not at all."""

from ._arrays import load_array, load_arrays
from ._formats import check_output, read, write
from ._picture import Picture
from ._whole import written_whole

__all__ = [
    "Picture",
    "check_output",
    "load_array",
    "load_arrays",
    "read",
    "write",
    "written_whole",
]
