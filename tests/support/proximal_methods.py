"""The methods with priors, by name."""

from convinv.proximal import admm, fista, proximal_gradient

METHODS = {f.__name__: f for f in (proximal_gradient, fista, admm)}
