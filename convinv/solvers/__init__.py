"""One file per method; importing them fills the registry."""

from . import cg, cgls, direct, gmres, gradient, lsmr, lsqr, schwarz, spectral, strip
from ._registry import METHODS, Method
