"""``pytest --pyargs convinv.testing``: the installed package, by its own checks."""

from typing import Any

import numpy as np
import pytest

from convinv._core.boundaries import BOUNDARIES
from convinv._solve.front import methods, solve
from convinv.operators import (
    DiagonalOperator,
    DifferenceOperator,
    FourierSampling,
    LaplacianOperator,
    MaskOperator,
    Radon,
    StackedOperator,
)
from convinv.operators._convolution import ConvLinearOperator
from convinv.testing import check_operator, check_solver

RNG = np.random.default_rng(0)
KERNEL = RNG.standard_normal((2, 3, 3, 2))
SHAPE = (3, 8, 7)
PADDING = ((1, 2), (1, 0))
MASK = RNG.random(SHAPE) < 0.6


def layer(shape=SHAPE, boundary="zero", dtype="float64", **options):
    kernel = KERNEL.astype(dtype)
    return ConvLinearOperator(
        kernel, shape, **{"padding": PADDING, "boundary": boundary, **options}
    )


OTHERS = {
    "adjoint": layer().H,
    "stride": layer(stride=2),
    "single precision": layer(dtype="float32"),
    "complex": ConvLinearOperator(KERNEL + 1j * KERNEL[::-1], SHAPE, padding=1),
    "DifferenceOperator": DifferenceOperator(SHAPE),
    "LaplacianOperator": LaplacianOperator(SHAPE),
    "DiagonalOperator": DiagonalOperator(RNG.standard_normal(SHAPE), SHAPE),
    "MaskOperator": MaskOperator(MASK),
    "FourierSampling": FourierSampling(MASK),
    "Radon": Radon(6, angles=5),
    "StackedOperator": StackedOperator([layer(), DifferenceOperator(SHAPE)]),
    "matrix": RNG.standard_normal((6, 4)),
}


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_boundaries(boundary):
    report = check_operator(
        layer(boundary=boundary), make=lambda shape: layer(shape, boundary)
    )
    report.raise_on_failure()
    assert report["boundary"].detail.startswith(boundary)
    assert report["axes of length 1"].result == "passed"


@pytest.mark.parametrize("name", OTHERS)
def test_operators(name):
    check_operator(OTHERS[name]).raise_on_failure()


@pytest.mark.parametrize(
    "method",
    [m for m in methods() if m.objective == "least-squares"],
    ids=lambda method: method.name,
)
def test_methods(method):
    def solver(op, b, maxiter=2000, **options):
        return solve(
            op, b, method.name, maxiter=maxiter, on_failure="ignore", **options
        )

    needs: Any = "any"
    for asked, kind in (
        (method.square, "square"),
        (method.hermitian, "definite"),
        (method.name == "spectral", "periodic"),
    ):
        needs = kind if asked else needs
    rtol = max(1e-6, method.attainable_rtol)
    keywords = ("rtol", "x0", "maxiter", "callback")
    check_solver(solver, needs=needs, rtol=rtol, keywords=keywords).raise_on_failure()


def test_the_default_method():
    check_solver(
        lambda op, b, **options: solve(op, b, on_failure="ignore", **options)
    ).raise_on_failure()
