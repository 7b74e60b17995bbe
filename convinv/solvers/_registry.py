"""The table of methods: a solver file enrols its function with `solver`."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """What a method needs and offers, as `convinv.methods` lists it.

    Attributes
    ----------
    name : str
        The string that `solve` takes.
    summary : str
        One line on the method.
    square, hermitian, conv_only, needs_rows, needs_adjoint : bool
        What it asks of the operator; `needs_rows`: a convolution or a matrix.
    adjoints : bool
        Whether a method for convolutions takes adjoints of convolutions as well.
    damp, preconditioner : bool
        Whether it takes those arguments (`preconditioner` may depend on options).
    minimum_norm : bool
        Whether it finds the minimiser of least norm from ``x0=None``.
    vectors : str
        Vectors stored per right-hand side, beside b and x, of length m (data) and n
        (unknowns).
    products : str
        Operator products in an iteration.
    verified : bool
        Whether it makes one application of an (approximate) inverse per call: `solve`
        checks each, and calls it again on the residual as long as that helps.
    condition : bool
        Whether it estimates the condition number (without a preconditioner).
    options : tuple of str
        Names of its own keyword arguments.
    """

    name: str
    summary: str
    function: Callable
    square: bool = False
    hermitian: bool = False
    conv_only: bool = False
    needs_rows: bool = False
    adjoints: bool = False
    needs_adjoint: bool = True
    damp: bool = True
    preconditioner: bool = False
    minimum_norm: bool = True
    vectors: str = ""
    products: str = ""
    verified: bool = False
    condition: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)

    def __repr__(self):
        asks = [
            word
            for word, asked in (
                ("square", self.square),
                ("Hermitian", self.hermitian),
                ("convolution", self.conv_only),
                ("convolution or matrix", self.needs_rows),
            )
            if asked
        ]
        needs = f" [{', '.join(asks)} operators]" if asks else ""
        return f"<{self.name}: {self.summary}{needs}>"


METHODS: dict[str, Method] = {}


def solver(name: str, **traits):
    """Enrol the decorated function ``f(problem, monitor, *, options)`` as a method.

    The function starts at zero with the right-hand side ``problem.b`` and returns
    ``(x, notes)``: its last iterate and a dict for the result's ``extra``. It calls
    ``monitor.update`` once in every iteration, which `iterate` runs until that says to
    stop; a `verified` one makes a single application and never calls it.
    """

    def enrol(function):
        summary = inspect.getdoc(function).split("\n", 1)[0].rstrip(".")
        METHODS[name] = Method(name, summary, function, **traits)
        return function

    return enrol
