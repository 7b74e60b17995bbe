"""Methods and their variants, the problems that they solve, and what a solution is."""

import dataclasses
import functools
import warnings

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from convinv import ConvergenceWarning, ConvLinearOperator, Status, methods, solve
from convinv._closed_forms.forms import closed_form

from .arrays import normal

METHODS = {m.name: m for m in methods()}
# Beside every method as it comes: (method, arguments of solve).
VARIANTS = {
    **{name: (name, {}) for name in METHODS},
    "gmres restart": ("gmres", {"restart": 7}),
    "gmres normal": ("gmres", {"normal": True}),
    "gradient fixed": ("gradient", {"step": "fixed"}),
    "gradient adam": ("gradient", {"step": "adam", "step_size": 0.02}),
    "kaczmarz symmetric": ("kaczmarz", {"symmetric": True, "relaxation": 1.3}),
    "kaczmarz random": ("kaczmarz", {"order": "random", "rng": 3}),
    "rk": ("rk", {"rng": 3}),
    "rek": ("rek", {"rng": 3}),
    "gauss-seidel symmetric": ("gauss-seidel", {"symmetric": True}),
    "rbk": ("rbk", {"rng": 3}),  # the same blocks every time
    "rbk cyclic": ("rbk", {"order": "cyclic", "partition": "interleaved"}),
    "strip average": ("strip", {"overlap": "average"}),
    "strip symmetric": ("strip", {"symmetric": True}),
    "strip refine": ("strip", {"refine": True}),
    "cgls jacobi": ("cgls", {"preconditioner": "jacobi"}),
    "lsqr jacobi": ("lsqr", {"preconditioner": "jacobi"}),
    "lsmr jacobi": ("lsmr", {"preconditioner": "jacobi"}),
    "gmres jacobi": ("gmres", {"preconditioner": "jacobi"}),
    "cg jacobi": ("cg", {"preconditioner": "jacobi"}),
    "cgls circulant": ("cgls", {"preconditioner": "circulant"}),
    "gmres circulant": ("gmres", {"preconditioner": "circulant"}),
    "cg circulant": ("cg", {"preconditioner": "circulant"}),
    "cgls schwarz": ("cgls", {"preconditioner": "schwarz"}),
    "lsqr schwarz": ("lsqr", {"preconditioner": "schwarz"}),
    "lsmr schwarz": ("lsmr", {"preconditioner": "schwarz"}),
    "gmres schwarz": ("gmres", {"preconditioner": "schwarz"}),
    "cg schwarz": ("cg", {"preconditioner": "schwarz"}),
}
VARIANTS = {k: v for k, v in VARIANTS.items() if v[0] in METHODS}
# What methods and preconditioners ask of a layer beside what the registry says.
TAKES = {
    "spectral": lambda op: closed_form(op) is not None,
    "direct": lambda op: is_local(op),
    "schwarz": lambda op: is_local(op),
}

# Methods that need b in the range of A; in number of steps they are like "gradient".
CONSISTENT = ("adbk", "fdbk", "gbk", "rshk")
STEEPEST = ("gradient", "gradient fixed", "gradient adam", "rshek", *CONSISTENT)
GREEDY = ("adbk", "fdbk", "gbk")  # rounding decides which rows they take


ROW_ACTIONS = ("kaczmarz", "kaczmarz symmetric", "kaczmarz random", "rk")


# (variant, problem): the methods' limits, where they need not succeed. A "*" is any.
MAY_FAIL = {
    *((v, "ill-conditioned") for v in ("gradient", "gradient fixed")),
    ("gradient adam", "*"),
    # sweeps over strips that determine their unknowns end with the status STALLED
    *((v, "inconsistent") for v in ("strip", "strip average", "strip symmetric")),
    *((v, "both") for v in ("strip", "strip average", "strip symmetric")),
    # rows that contradict each other
    *((v, p) for v in ROW_ACTIONS for p in ("inconsistent", "both")),
    # sweeps are as slow as gradient descent there
    *((v, "ill-conditioned") for v in (*ROW_ACTIONS, "rek")),
    *((v, "ill-conditioned") for v in ("gauss-seidel", "gauss-seidel symmetric")),
    # blocks that contradict each other
    *((v, p) for v in ("rbk", "rbk cyclic") for p in ("inconsistent", "both")),
    *((v, p) for v in CONSISTENT for p in ("inconsistent", "both", "operator")),
    *((v, "groups") for v in ("rshek", "gradient fixed")),
    *((v, "groups") for v in ("rk", "rek")),  # from afar, more than 3000 sweeps
    # too slow: less than 1 % in 100 steps counts as none
    *((v, "ill-conditioned") for v in (*CONSISTENT, "rshek")),
    # an inverse of a matrix that has none: they say so
    *(
        (v, p)
        for v in ("direct", *(k for k in VARIANTS if "schwarz" in k))
        for p in ("rank-deficient", "both")
    ),
}
MAY_FAIL_WITH_DAMP = {
    ("strip average", "*"),  # solves in another norm
    ("strip symmetric", "over, two channels"),
    ("strip", "torus"),  # stalls
    ("rbk", "torus"),  # takes more than 5000 iterations
    # so do rows in order: what is outside the range of A leaves at a rate of damp^2
    *(("kaczmarz", p) for p in ("over", "3-D", "torus")),
    *(
        ("kaczmarz symmetric", p)
        for p in ("over", "over, two channels", "3-D", "strided", "groups", "torus")
    ),
}
LOOSE = 1e-4  # a tolerance that all methods and precisions can reach
SLOW = {  # tolerances of methods that take too long to what the others reach
    "gradient": 1e-3,
    "gradient fixed": 1e-3,
    **dict.fromkeys(("rshek", *CONSISTENT), 1e-3),
    "strip": LOOSE,
    "strip average": LOOSE,
    "strip symmetric": LOOSE,
}


def is_local(op):
    """Whether no sample is a neighbour of one at the other end of the image."""
    g = op.geometry
    return g.boundary != "periodic" or not any(g.before + g.after)


def centre(shape):
    """A kernel that is the identity of every channel pair (c, c)."""
    kernel = np.zeros(shape)
    for c in range(min(shape[:2])):
        kernel[(c, c, *(k // 2 for k in shape[2:]))] = 1
    return kernel


def random_layer(shape, input_shape, shift=0.0, scale=1.0, **options):
    def make(rng, dtype):
        kernel = scale * normal(rng, shape, dtype) + shift * centre(shape)
        return ConvLinearOperator(kernel.astype(dtype), input_shape, **options)

    return make


def definite(rng, dtype):
    kernel = 0.1 * normal(rng, (2, 2, 3, 3), dtype)
    kernel = kernel + np.flip(kernel, (2, 3)).swapaxes(0, 1).conj()
    kernel = kernel + 3 * centre((2, 2, 3, 3))
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


def applies(variant, c):
    """Whether a variant takes the operator of case `c`, from what the registry says."""
    name, arguments = VARIANTS[variant]
    method = METHODS[name]
    if method.square and not arguments.get("normal") and not c.is_square:
        return False
    if method.hermitian and not c.is_hermitian:
        return False
    named = arguments.get("preconditioner")
    if not c.is_conv:
        rows = not isinstance(c.op, LinearOperator) or not method.needs_rows
        return rows and not (method.conv_only or named)
    return all(TAKES[key](c.op) for key in (name, named) if key in TAKES)


def takes_products(name):
    """Whether a method takes operators that have nothing but products."""
    return not (METHODS[name].conv_only or METHODS[name].needs_rows)


def takes_damp(variant):
    name, arguments = VARIANTS[variant]
    return METHODS[name].damp and (name != "gmres" or arguments.get("normal", False))


def finds_minimum_norm(variant):
    name, arguments = VARIANTS[variant]
    if arguments.get("step") == "adam" or "preconditioner" in arguments:
        return False
    return METHODS[name].minimum_norm or arguments.get("normal", False)


def may_fail(variant, problem, limits=MAY_FAIL):
    return bool({(variant, problem), (variant, "*")} & limits)


def run(variant, op, b, **kwargs):
    """solve() with a variant's arguments; (result, warnings)."""
    name, arguments = VARIANTS[variant]
    return recorded(op, b, name, **{**arguments, **kwargs})


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
    entry = METHODS[method]
    problem = "definite" if entry.hermitian else "square" if entry.square else "over"
    if method == "spectral":
        problem = "torus"
    return case(problem, dtype), {"method": method, "rng": 0}
