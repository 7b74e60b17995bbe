"""Every method on every form of operator, at any scale: no success is a wrong one."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from convinv import ConvLinearOperator, solve
from random_search import LEAST_SQUARES, Duck, Trial, judge, search
from support.arrays import DTYPES, normal

SCALES = {"4": (1e-18, 1e-5, 1.0, 1e18), "8": (1e-30, 1.0, 1e30)}
FORMS = ("layer", "dense", "csr", "LinearOperator", "duck")
# Methods that reach this tolerance for every form that they take, within the limit.
SURE = ("auto", "cgls", "lsqr", "lsmr", "cg", "direct", "schwarz")
RTOL = 1e-4


def layer(dtype, hermitian):
    """A layer of some ten unknowns, well conditioned."""
    rng = np.random.default_rng(0)
    if hermitian:
        side = normal(rng, 1, dtype) / 4
        kernel = np.concatenate([side, [2], side.conj()]).astype(dtype)[None, None]
        return ConvLinearOperator(kernel, (1, 14), padding=1)
    return ConvLinearOperator(normal(rng, (3, 2, 3), dtype), (2, 9))


def operator(form, op):
    """The layer's matrix in another form."""
    A = op.todense()
    adjoint = A.conj().T
    made = {
        "layer": lambda: op,
        "dense": lambda: A,
        "csr": lambda: sparse.csr_array(A),
        "LinearOperator": lambda: LinearOperator(
            A.shape,
            matvec=lambda v: A @ v,
            rmatvec=lambda v: adjoint @ v,
            dtype=A.dtype,
        ),
        "duck": lambda: Duck(A),
    }
    return made[form]()


def takes(entry, form):
    if entry.convolution_only:
        return form == "layer"
    return not entry.needs_rows or form in ("layer", "dense", "csr")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["auto", *(e.name for e in LEAST_SQUARES)])
def test_no_success_is_wrong(name, form):
    entry = {entry.name: entry for entry in LEAST_SQUARES}.get(name)
    if entry is not None and not takes(entry, form):
        pytest.skip("the method does not take such operators")
    square = entry is not None and (entry.square or entry.hermitian)
    for dtype in DTYPES[:3]:
        base = layer(dtype, square)
        if entry is not None and not entry.takes(base):
            options = {"padding": "same", "boundary": "periodic"}
            base = ConvLinearOperator(base.kernel, base.input_shape, **options)
        eps_bytes = "4" if np.finfo(dtype).eps > 1e-10 else "8"
        for scale in SCALES[eps_bytes]:
            kernel = (base.kernel * scale).astype(dtype)
            op = base.with_kernel(kernel)
            A = op.todense().astype(np.result_type(dtype, np.float64))
            rng = np.random.default_rng(1)
            for noise in (0.0, 0.0 if square else 0.3):
                b = A @ normal(rng, A.shape[1], A.dtype)
                size = np.linalg.norm(b) / np.sqrt(b.size)
                b = (b + noise * size * normal(rng, b.shape, A.dtype)).astype(dtype)
                options = {"method": name, "rtol": RTOL, "maxiter": 300}
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    result = solve(operator(form, op), b, **options)
                trial = Trial(0, form, op, A, b, options)
                assert judge(trial, result.x, result.success) is None, (dtype, scale)
                assert result.success or name not in SURE, (dtype, scale, result)


def test_random_problems():
    """The first few hundred of ``python tests/random_search.py``."""
    found = []
    counts = search(range(400), show=found.append)
    assert not found, "\n".join(found)
    assert counts["success"] > 150 and not counts["wrong"] and not counts["raised"]
