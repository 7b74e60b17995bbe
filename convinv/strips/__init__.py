"""Strips: small windows of the output whose local matrices repeat.

A strip takes the same window of every output channel. Without its zero columns the
matrix of a strip is small, and strips that lie alike with respect to the border share
it; one pseudoinverse per class of strips then inverts a layer of any size. This is
STRIP of "Fast and scalable inversion of convolution layers", with rectangles of any
size, one to three spatial axes, groups, padding and every boundary; `convinv.solve` has
it as method "strip". `sweep_analysis` analyzes sweeps over strips or over other blocks
of rows (method "rbk").
"""

from .._linalg.pseudoinverse import Pseudoinverse, pseudoinverse
from ._analysis import SweepAnalysis, sweep_analysis
from ._arrangement import arrangement
from ._arrangement_table import ArrangementTable, arrangement_table, plot_arrangement
from ._measures import Measure
from ._plan import StripPlan, strip_plan

__all__ = [
    "ArrangementTable",
    "Measure",
    "Pseudoinverse",
    "StripPlan",
    "SweepAnalysis",
    "arrangement",
    "arrangement_table",
    "plot_arrangement",
    "pseudoinverse",
    "strip_plan",
    "sweep_analysis",
]
