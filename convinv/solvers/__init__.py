"""One file per method; importing them fills the registry."""

from . import cg, cgls, gmres, gradient, lsmr, lsqr, strip
from ._registry import METHODS, Method
