"""Files: pictures and arrays, read in full and written whole or not at all.

Large arrays are read and written by regions (`open_store`, `create_store`).
"""

from ._arrays import load_array, load_arrays
from ._blocks import Blocks
from ._chunk_cache import cached_chunks
from ._formats import check_output, read, write
from ._journal import Journal, Record
from ._picture import Picture
from ._store import Store
from ._stores import create_store, file_of, is_large, open_store
from ._whole import written_whole
from ._workplace import Workplace

__all__ = [
    "Blocks",
    "Journal",
    "Picture",
    "Record",
    "Store",
    "Workplace",
    "cached_chunks",
    "check_output",
    "create_store",
    "file_of",
    "is_large",
    "load_array",
    "load_arrays",
    "open_store",
    "read",
    "write",
    "written_whole",
]
