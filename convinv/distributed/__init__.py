"""Operators and solves on arrays of Dask, by any of its schedulers.

It needs Dask: ``python -m pip install "dask[array]"``, for clusters ``distributed``.
"""

from .._core.optional import optional

optional("dask.array", "convinv.distributed")

from ._operator import DaskConvOperator  # noqa: E402
from ._solve import solve  # noqa: E402

__all__ = ["DaskConvOperator", "solve"]
