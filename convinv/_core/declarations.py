"""What methods and preconditioners say about themselves, as numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Use:
    """A solve, as far as its memory depends on it.

    Attributes
    ----------
    op : ShapedOperator
    options : mapping
        Of the method, as the user gave them.
    itemsize, double : int
        Bytes of a number of the solve, and of one in double precision.
    fused : bool
        Whether products of `op` write into memory that they are given.
    damped, preconditioned, on_host : bool
    """

    op: Any
    options: Mapping[str, Any]
    itemsize: int
    double: int
    fused: bool = True
    damped: bool = False
    preconditioned: bool = False
    on_host: bool = True


@dataclass(frozen=True)
class Storage:
    """The vectors that a method stores for each right-hand side, beside b and x.

    Attributes
    ----------
    m : int
        Vectors as long as the data.
    n : int or str
        Vectors as long as the unknowns; a text names the option that tells how many.
    gram : int
        Vectors as long as the smaller of the two, for inverses of the Gram matrix.
    shared_m, shared_n : int
        How many of `m` and `n` all right-hand sides have in common, in numbers of eight
        bytes: orders of rows, norms, random draws.
    damped_m : int
        Vectors as long as the data that `damp` adds.
    augmented : bool
        Whether `damp` makes data vectors longer by the number of unknowns.
    preconditioned_n : int
        Vectors as long as the unknowns that a preconditioner adds.
    counts_products : bool
        Whether `m` and `n` count the results of products, which are extra otherwise.
    set_up : str
        In words, what is stored once, however many right-hand sides there are.
    numbers : callable, optional
        ``numbers(use)``: numbers for a right-hand side that are no vectors.
    shared_bytes : callable, optional
        ``shared_bytes(use)``: bytes that all right-hand sides have in common.
    captured : bool
        Whether a device may run iterations as a graph, which holds copies of them all,
        but for a basis.
    """

    m: int = 0
    n: int | str = 0
    gram: int = 0
    shared_m: int = 0
    shared_n: int = 0
    damped_m: int = 0
    augmented: bool = False
    preconditioned_n: int = 0
    counts_products: bool = False
    set_up: str = ""
    numbers: Callable[[Use], float] | None = None
    shared_bytes: Callable[[Use], float] | None = None
    captured: bool = False

    def __str__(self):
        words = [_sum({"m": self.m, "n": self.n, "min(m, n)": self.gram})]
        if self.damped_m:
            more = _sum({"m": self.damped_m})
            words.append(f"{more} more with damp")
        if self.preconditioned_n:
            more = _sum({"n": self.preconditioned_n})
            words.append(f"{more} more with a preconditioner")
        if self.set_up:
            words.append(f"and {self.set_up}")
        return ", ".join(words)

    def vectors(self, use: Use, defaults: Mapping[str, Any]) -> tuple[float, float]:
        """Vectors of length m and n of one right-hand side, products included."""
        m, n = float(self.m - self.shared_m), float(self._unknowns(use, defaults))
        if use.preconditioned:
            n += self.preconditioned_n
        if use.damped:
            m += self.damped_m
        if use.damped and self.augmented:  # and one more for the product
            n += m + 3
            m += 1
        rows, columns = use.op.shape
        if self.gram:
            # then N has the length of the data, and A^H is applied
            wide = rows < columns
            m, n = (m + self.gram, n + 1) if wide else (m, n + self.gram)
        if not self.counts_products:
            products = 1 if use.fused else 2
            m, n = m + products, n + products
        elif not use.fused:
            m, n = m + 1, n + 1
        return m, n

    def copied(self, use: Use, defaults: Mapping[str, Any]) -> tuple[float, float]:
        """Those of `vectors` that a graph copies: all but a basis, named by `n`."""
        m, n = self.vectors(use, defaults)
        if isinstance(self.n, str):
            n += 2 - self._unknowns(use, defaults)  # x and the residual
        return m, n

    def _unknowns(self, use, defaults):
        """`n`, or the value of the option that it names, less what is shared."""
        if not isinstance(self.n, str):
            return self.n - self.shared_n
        value = use.options.get(self.n, defaults.get(self.n))
        try:
            return min(operator.index(value), use.op.shape[1])
        except TypeError:
            return 0  # the method will refuse it

    def shared(self, use: Use) -> float:
        """Bytes that all right-hand sides have in common."""
        found = 0.0 if self.shared_bytes is None else self.shared_bytes(use)
        for count, length in zip((self.shared_m, self.shared_n), use.op.shape):
            found += 8 * (count + 2) * length if count else 0
        return found


@dataclass(frozen=True)
class Products:
    """The operator products of an iteration.

    Attributes
    ----------
    forward, adjoint : int
        Products with A and with its adjoint.
    besides : str
        In words, what an iteration does beside them.
    """

    forward: int = 1
    adjoint: int = 1
    besides: str = ""

    def __str__(self):
        counts = {"forward": self.forward, "adjoint": self.adjoint}
        words = [f"{count} {name}" for name, count in counts.items() if count]
        if self.besides:
            words.append(f"and {self.besides}" if words else self.besides)
        return ", ".join(words)


def _sum(terms):
    """ "2 m + 3 n" of counts by letter; an option's name stands for its value."""
    texts = []
    for letter, count in terms.items():
        if count:
            texts.append(letter if count == 1 else f"{count} {letter}")
    return " + ".join(texts)
