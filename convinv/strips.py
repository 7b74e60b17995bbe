"""Strips: small windows of the output whose local matrices repeat.

A strip takes the same window of every output channel. Without the columns that are zero
its matrix is small, and strips that lie alike with respect to the border share it; one
pseudoinverse per class of strips then inverts a layer of any size. This is STRIP of
"Fast and scalable inversion of convolution layers", with rectangles of any size, one to
three spatial axes, groups, padding and every boundary; `convinv.solve` has it as method
"strip".
"""

from ._pseudoinverse import Pseudoinverse, pseudoinverse
from ._strips import StripPlan, strip_plan

__all__ = ["Pseudoinverse", "StripPlan", "pseudoinverse", "strip_plan"]
