"""The checks of solvers, a file for each idea; an import enrols them, in order."""

from . import residual, starts, memory, dtypes, determinism  # isort: skip
from . import inconsistent, singular, scale, limits  # isort: skip
