"""Packages that convinv can do without, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

# The name to install where it is not that of the module.
PACKAGES = {
    "dask": "dask[array]",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
}


def optional(module: str, user: str) -> Any:
    """The module of that name, or an ImportError that says what to install for whom.

    `user` is the subject of the error's sentence, in the singular.
    """
    top = module.partition(".")[0]
    try:
        importlib.import_module(top)
        return importlib.import_module(module)
    except ImportError as error:
        package = PACKAGES.get(top, top)
        raise ImportError(
            f"{user} needs {package}: python -m pip install {package}"
        ) from error
