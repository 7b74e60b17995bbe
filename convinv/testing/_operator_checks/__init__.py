"""The checks of operators, a file for each idea; an import enrols them, in order."""

from . import adjoint, linearity, dtypes, batches, memory, determinism  # isort: skip
from . import layouts, boundary, short_axes  # isort: skip
