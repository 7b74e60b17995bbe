"""Where the tests look for the package and for what lies beside them."""

import pathlib

import convinv

# The folder that holds tests/; whether it holds docs/ and benchmarks/ too is asked.
ROOT = pathlib.Path(__file__).parents[2]
# The package that is imported, which may be installed somewhere else.
PACKAGE = pathlib.Path(convinv.__file__).parent
