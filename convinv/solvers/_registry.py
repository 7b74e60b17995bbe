"""The table of methods: a solver file enrols its function with `solver`."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .._core.declarations import Products, Storage, Use
from .._core.options import Option, options_of

Rate = Literal["exact", "krylov", "rows", "blocks", "gradient", "unknown"]
Objective = Literal["least-squares", "poisson"]


@dataclass(frozen=True)
class Method:
    """What a method needs and offers, as `convinv.methods` lists it.

    Attributes
    ----------
    name : str
        The string that `solve` takes.
    summary : str
        One line on the method.
    storage : Storage
        Vectors stored for a right-hand side, beside b and x.
    products : Products
        Operator products in an iteration.
    objective : {"least-squares", "poisson"}
        What it minimizes: the norm of the residual, or the negative logarithm of the
        likelihood of Poisson counts (the Kullback-Leibler divergence from b to A x)
        over ``x >= 0``. What else is said here refers to that.
    square, hermitian, convolution_only, needs_rows, needs_adjoint : bool
        What it asks of the operator; `needs_rows`: a convolution or a matrix.
    takes_adjoints : bool
        Whether a method for convolutions takes adjoints of convolutions as well.
    takes_stacks : bool
        Whether it takes stacks of convolutions (`StackedOperator`) as well.
    takes_weights : bool
        Whether it takes convolutions whose rows have weights as well.
    takes : callable
        ``takes(op)``: whether it takes a convolution, where it does not take all.
    damp, preconditioner : bool
        Whether it takes those arguments (`preconditioner` may depend on options).
    minimum_norm : bool
        Whether it finds the minimizer of least norm from ``x0=None``.
    consistent_only : bool
        Whether it finds solutions of consistent systems only: with data outside the
        range of A and no `damp` it may end without success.
    start_with_damp : bool
        Whether a good starting point makes it faster with `damp`, too.
    rate : {"exact", "krylov", "rows", "blocks", "gradient", "unknown"}
        How it converges: by applications of an inverse; in a number of iterations that
        grows with the condition number; in sweeps over rows, columns or blocks of them,
        by a factor in each; as gradient descent, in a number of iterations that grows
        with the square of the condition number; by no known law.
    attainable_rtol : float
        The tolerance to which it solves well-conditioned problems in some thousand
        iterations, 0 for any.
    greedy : bool
        Whether comparisons, which rounding may decide, choose the rows it takes.
    applies_inverse : bool
        Whether a call makes one application of an (approximate) inverse: `solve` checks
        each, and calls it again on the residual as long as that helps.
    condition : bool
        Whether it estimates the condition number (without a preconditioner).
    by_setting : mapping
        ``{(option, value): {trait: value}}`` where a value of an option changes what is
        said here; see `at`.
    variants : mapping
        Settings of its options that make another method of it, by a short name; the
        contract tests run each of them beside the defaults.
    limits : tuple of str
        Problems of the contract tests on which it may end without success, beside those
        that its other traits exclude; "damped NAME" with `damp`, "*" for any.
    """

    name: str
    summary: str
    function: Callable
    storage: Storage
    products: Products
    objective: Objective = "least-squares"
    square: bool = False
    hermitian: bool = False
    convolution_only: bool = False
    needs_rows: bool = False
    needs_adjoint: bool = True
    takes_adjoints: bool = False
    takes_stacks: bool = False
    takes_weights: bool = False
    takes: Callable[[Any], bool] = lambda op: True
    damp: bool = True
    preconditioner: bool = False
    minimum_norm: bool = True
    consistent_only: bool = False
    start_with_damp: bool = True
    rate: Rate = "krylov"
    attainable_rtol: float = 0.0
    greedy: bool = False
    applies_inverse: bool = False
    condition: bool = False
    by_setting: Mapping[tuple[str, Any], Mapping[str, Any]] = field(
        default_factory=dict
    )
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    limits: tuple[str, ...] = ()

    @functools.cached_property
    def options(self) -> dict[str, Option]:
        """Its own keyword arguments, by name."""
        return options_of(self.function)

    def at(self, options: Mapping[str, Any]) -> Method:
        """The method as it is with some options."""
        changes: dict[str, Any] = {}
        defaults = {name: option.default for name, option in self.options.items()}
        for (name, value), traits in self.by_setting.items():
            if {**defaults, **options}.get(name) == value:
                changes |= traits
        return dataclasses.replace(self, by_setting={}, **changes) if changes else self

    @property
    def needs(self) -> tuple[str, ...]:
        """What it asks of the operator, in words."""
        asked = {
            "square": self.square,
            "Hermitian": self.hermitian,
            "convolution": self.convolution_only,
            "convolution or matrix": self.needs_rows,
            "nonnegative": self.objective == "poisson",
        }
        return tuple(word for word, is_asked in asked.items() if is_asked)

    def vectors(self, use: Use) -> tuple[float, float]:
        """Vectors of length m and n that a right-hand side takes; see ``Storage``."""
        defaults = {name: option.default for name, option in self.options.items()}
        return self.storage.vectors(use, defaults)

    def copied(self, use: Use) -> tuple[float, float]:
        """Those of `vectors` that a graph of the iterations copies."""
        defaults = {name: option.default for name, option in self.options.items()}
        return self.storage.copied(use, defaults)

    def __repr__(self):
        needs = f" [{', '.join(self.needs)} operators]" if self.needs else ""
        return f"<{self.name}: {self.summary}{needs}>"


METHODS: dict[str, Method] = {}


def solver(name: str, *, storage: Storage, products: Products, **traits):
    """Enrol the decorated function ``f(problem, monitor, *, options)`` as a method.

    The function starts at zero with the right-hand side ``problem.b`` and returns
    ``(x, notes)``: its last iterate and a dict for the result's ``extra``. `iterate`
    runs its iterations, each of which calls ``monitor.update`` once; one that
    `applies_inverse` makes a single application and never calls it. The types of its
    keyword-only arguments say what its options may be (`Option`).

    One whose `objective` is "poisson" gets a `PoissonProblem`, which has taken in the
    options ``background``, ``tv`` and ``stopping`` and starts at ``problem.x0``.

    The docstring is for users, who never see `problem` and `monitor`: Parameters are
    the options, Returns tells x and what ``extra`` holds. The page on methods renders
    the sections below the call ``solve(op, b, method=name, *, options)``.
    """

    def enrol(function):
        summary = inspect.getdoc(function).split("\n", 1)[0].rstrip(".")
        METHODS[name] = Method(name, summary, function, storage, products, **traits)
        return function

    return enrol
