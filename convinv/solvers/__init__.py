"""One file per method; importing them fills the registry."""

from . import cg, cgls, gmres, gradient, lsmr, lsqr
from ._registry import METHODS, Method
