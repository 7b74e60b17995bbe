"""``python -m convinv``: the command line of :mod:`convinv.cli`."""

import sys

from .cli import main

sys.exit(main())
