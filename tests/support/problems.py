"""Methods and their variants, the problems that they solve, and what a solution is."""

import dataclasses
import functools
import warnings

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from convinv import ConvergenceWarning, ConvLinearOperator, Status, methods, solve
from convinv.precondition import PRECONDITIONERS

from .arrays import normal

# Those that minimize the residual; tests of others are in folders of their own.
METHODS = {m.name: m for m in methods() if m.objective == "least-squares"}
PRECONDITIONED = [m.name for m in METHODS.values() if m.preconditioner]
# Beside every method as it comes: (method, arguments of solve).
VARIANTS = {
    **{name: (name, {}) for name in METHODS},
    **{
        f"{m.name} {variant}": (m.name, dict(settings))
        for m in METHODS.values()
        for variant, settings in m.variants.items()
    },
    **{
        f"{name} {preconditioner}": (name, {"preconditioner": preconditioner})
        for preconditioner in PRECONDITIONERS
        for name in PRECONDITIONED
    },
}
# Problems that are solved fast, those that most methods take first.
EASY = ("over", "square", "definite", "torus")
LOOSE = 1e-4  # a tolerance that all methods and precisions can reach


def center(shape):
    """A kernel that is the identity of every channel pair (c, c)."""
    kernel = np.zeros(shape)
    for c in range(min(shape[:2])):
        kernel[(c, c, *(k // 2 for k in shape[2:]))] = 1
    return kernel


def random_layer(shape, input_shape, shift=0.0, scale=1.0, **options):
    def make(rng, dtype):
        kernel = scale * normal(rng, shape, dtype) + shift * center(shape)
        return ConvLinearOperator(kernel.astype(dtype), input_shape, **options)

    return make


def definite(rng, dtype):
    kernel = 0.1 * normal(rng, (2, 2, 3, 3), dtype)
    kernel = kernel + np.flip(kernel, (2, 3)).swapaxes(0, 1).conj()
    kernel = kernel + 3 * center((2, 2, 3, 3))
    return ConvLinearOperator(kernel.astype(dtype), (2, 5, 6), padding=1)


def blur(rng, dtype):
    g = np.exp(-0.5 * (np.arange(-2, 3) / 0.8) ** 2)
    kernel = np.outer(g, g).reshape(1, 1, 5, 5) / g.sum() ** 2
    kernel = kernel.astype(dtype)
    return ConvLinearOperator(kernel, (1, 8, 7), padding=2, boundary="reflect")


def tall(form):
    def make(rng, dtype):
        matrix = normal(rng, (40, 25), dtype) + 5 * np.eye(40, 25, dtype=dtype)
        return form(matrix.astype(dtype))

    return make


# name: (operator, whether b is in its range)
PROBLEMS = {
    "over": (random_layer((6, 1, 3, 3), (1, 7, 8)), True),
    "over, two channels": (random_layer((8, 2, 3, 3), (2, 6, 7)), True),
    "under": (random_layer((1, 2, 3, 3), (2, 6, 6), 2.0, 0.3, padding=1), True),
    "square": (random_layer((2, 2, 3, 3), (2, 5, 6), 2.0, 0.2, padding="same"), True),
    "definite": (definite, True),
    "rank-deficient": (random_layer((2, 1, 3, 3), (1, 7, 7)), True),
    "ill-conditioned": (blur, True),
    "inconsistent": (random_layer((6, 1, 3, 3), (1, 7, 8)), False),
    "both": (random_layer((2, 1, 3, 3), (1, 7, 7)), False),
    "1-D": (
        random_layer(
            (3, 2, 4), (2, 15), 1.5, 0.5, padding=((1, 2),), boundary="periodic"
        ),
        True,
    ),
    "3-D": (random_layer((6, 1, 2, 2, 2), (1, 4, 3, 5)), True),
    "strided": (random_layer((8, 1, 3, 3), (1, 9, 9), stride=2), True),
    "groups": (random_layer((8, 1, 3, 3), (2, 6, 6), groups=2, flip=True), True),
    "torus": (
        random_layer((6, 1, 3, 3), (1, 6, 7), padding="same", boundary="periodic"),
        True,
    ),
    "torus, strided": (
        random_layer((2, 1, 3, 3), (1, 6, 8), padding=1, stride=2, boundary="periodic"),
        True,
    ),
    "operator": (tall(aslinearoperator), False),
    "sparse": (tall(sparse.csr_array), True),
    "dense": (tall(np.asarray), True),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """An operator, its matrix in double precision, and data."""

    op: object
    A: np.ndarray
    x: np.ndarray
    b: np.ndarray

    @property
    def is_conv(self):
        return isinstance(self.op, ConvLinearOperator)

    @property
    def is_square(self):
        return self.A.shape[0] == self.A.shape[1]

    @functools.cached_property
    def is_hermitian(self):
        return self.is_square and np.allclose(self.A, self.A.conj().T, atol=1e-5)

    @functools.cached_property
    def singular(self):
        s = np.linalg.svd(self.A, compute_uv=False)
        return s[s >= 1e-5 * s[0]]

    @functools.cached_property
    def pinv(self):
        return np.linalg.pinv(self.A, rcond=1e-5)


def matrix_of(op):
    if isinstance(op, ConvLinearOperator):
        op = op.astype(np.result_type(op.dtype, "float64")).tosparse()
    if isinstance(op, LinearOperator):
        op = op @ np.eye(op.shape[1])
    matrix = op.toarray() if sparse.issparse(op) else np.asarray(op)
    return matrix.astype(np.result_type(matrix.dtype, "float64"))


@functools.cache
def case(problem, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    make, consistent = PROBLEMS[problem]
    op = make(rng, dtype)
    A = matrix_of(op)
    x = normal(rng, A.shape[1], dtype)
    b = A @ x
    if not consistent:
        b = b + np.linalg.norm(b) / np.sqrt(b.size) * normal(rng, b.size, dtype)
    b = b.astype(dtype)
    b.flags.writeable = False
    return Case(op, A, x, b)


def entry(variant):
    """What the registry says of a variant."""
    name, arguments = VARIANTS[variant]
    return METHODS[name].at(arguments)


def named(variant):
    """The preconditioner of a variant, None where it has none."""
    return PRECONDITIONERS.get(VARIANTS[variant][1].get("preconditioner"))


def applies(variant, c):
    """Whether a variant takes the operator of a case, by the registries."""
    method, preconditioner = entry(variant), named(variant)
    if method.square and not c.is_square:
        return False
    if method.hermitian and not c.is_hermitian:
        return False
    if not c.is_conv:
        rows = not isinstance(c.op, LinearOperator) or not method.needs_rows
        return rows and not (method.convolution_only or preconditioner)
    return method.takes(c.op) and (not preconditioner or preconditioner.takes(c.op))


def takes_products(name):
    """Whether a method takes operators that have nothing but products."""
    return not (METHODS[name].convolution_only or METHODS[name].needs_rows)


def finds_minimum_norm(variant):
    return entry(variant).minimum_norm and not named(variant)


def is_slow(variant):
    """Whether its iterations are as many as those of gradient descent."""
    return entry(variant).rate in ("gradient", "unknown")


def tolerance(variant, rtol):
    """`rtol`, or what a slow variant reaches."""
    return max(rtol, entry(variant).attainable_rtol)


def may_fail(variant, problem, damped=False):
    """Whether a variant need not succeed, with `damped` with damp either."""
    method, preconditioner = entry(variant), named(variant)
    limits = {*method.limits, *(preconditioner.limits if preconditioner else ())}
    if method.consistent_only:
        limits |= {name for name, (_, consistent) in PROBLEMS.items() if not consistent}
    if method.rate in ("gradient", "rows", "unknown"):
        limits.add("ill-conditioned")
    if damped:
        limits |= {limit.removeprefix("damped ") for limit in limits}
    return bool({problem, "*"} & limits)


def run(variant, op, b, **kwargs):
    """solve() with a variant's arguments; (result, warnings)."""
    name, arguments = VARIANTS[variant]
    return recorded(op, b, name, **{"rng": 3, **arguments, **kwargs})


def recorded(*args, **kwargs):
    """solve(); (result, warnings)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = solve(*args, **kwargs)
    return result, caught


def norms(c, x, damp=0.0, b=None):
    x = np.asarray(x).reshape(-1)
    r = (c.b if b is None else b.reshape(-1)).astype(c.A.dtype) - c.A @ x
    return np.linalg.norm(r), np.linalg.norm(c.A.conj().T @ r - damp**2 * x)


def is_solution(c, x, rtol, atol=0.0, damp=0.0, b=None):
    """The promise of `success`, from the matrix."""
    b = (c.b if b is None else b.reshape(-1)).astype(c.A.dtype)
    residual, gradient = norms(c, x, damp, b)
    size = np.linalg.norm(b)
    floor = 4 * np.finfo(x.dtype).eps * c.singular[0] * size
    slack = 1 + 1e-6
    return (not damp and residual <= slack * max(rtol * size, atol)) or (
        gradient <= slack * max(rtol * np.linalg.norm(c.A.conj().T @ b), floor)
    )


def check_one_truth(result, caught, maxiter=None):
    """success, status, message, history, nit and the warning of `recorded` agree."""
    assert result.success == (result.status is Status.CONVERGED)
    assert result.status.value in result.message
    assert len(result.history) == result.nit
    assert maxiter is None or result.nit <= maxiter
    assert np.all(np.isfinite(result.x))
    if result.success or result.status is Status.STOPPED:
        assert not caught
    else:
        assert [w.category for w in caught] == [ConvergenceWarning]
        assert result.message in str(caught[0].message)
        assert caught[0].filename == __file__


def ids(problem):
    return problem.replace(" ", "-").replace(",", "")


def pairs(condition=lambda variant, problem: True):
    """Every variant with every problem that it takes and that meets a condition."""
    chosen = [
        pytest.param(variant, problem, id=ids(f"{variant}-{problem}"))
        for variant in VARIANTS
        for problem in PROBLEMS
        if applies(variant, case(problem)) and condition(variant, problem)
    ]
    return pytest.mark.parametrize(("variant", "problem"), chosen)


variants = pytest.mark.parametrize("variant", VARIANTS)
every_method = pytest.mark.parametrize("method", METHODS)


def easy(method, dtype="float64"):
    """(case, arguments of solve) of a problem that a method solves fast."""
    taken = (p for p in EASY if applies(method, case(p)))
    return case(next(taken), dtype), {"method": method, "rng": 0}
