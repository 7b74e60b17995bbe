"""Errors of the norm of a layer, and the time of a step of training with each."""

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse.linalg import svds
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from convinv.interop.torch import (
    SpectralNormalized,
    lipschitz,
    operator,
    spectral_norm,
)

from ..support.measure import interleaved

BATCH = 16
STEPS = 200  # of the power iteration, which then has converged


class Case(NamedTuple):
    """A layer by its class and options, for inputs of a shape."""

    name: str
    kind: Any
    channels: tuple[int, int]
    taps: int
    shape: tuple[int, ...]
    options: dict

    def layer(self):
        torch.manual_seed(0)
        return self.kind(*self.channels, self.taps, **self.options)


CASES = (
    Case("3 -> 16, 3x3", nn.Conv2d, (3, 16), 3, (3, 32, 32), {"padding": 1}),
    Case(
        "16 -> 16, 3x3, circular",
        nn.Conv2d,
        (16, 16),
        3,
        (16, 16, 16),
        {"padding": 1, "padding_mode": "circular"},
    ),
    Case(
        "16 -> 32, 3x3, stride 2",
        nn.Conv2d,
        (16, 32),
        3,
        (16, 32, 32),
        {"padding": 1, "stride": 2},
    ),
    Case("64 -> 64, 3x3", nn.Conv2d, (64, 64), 3, (64, 16, 16), {"padding": 1}),
    Case(
        "32 -> 16, 4x4, transposed, stride 2",
        nn.ConvTranspose2d,
        (32, 16),
        4,
        (32, 16, 16),
        {"padding": 1, "stride": 2},
    ),
)


def measure(case, seconds):
    """A row of the table."""
    layer, options = case.layer(), dict(case.options)
    truth = true_norm(layer, case.shape)
    ours = float(spectral_norm(layer, case.shape).detach())
    if case.kind is nn.ConvTranspose2d:
        options["transposed"] = True
    normalized = SpectralNormalized(case.shape, truth / 2, **options)
    power = parametrizations.spectral_norm(copy.deepcopy(layer))
    for _ in range(STEPS):
        power.weight  # noqa: B018: every access is a step
    theirs = float((layer.weight.norm() / power.weight.norm()).detach())
    exact = parametrize.register_parametrization(
        copy.deepcopy(layer), "weight", normalized
    )
    lower, upper = lipschitz(layer, case.shape)
    calls = {"plain": layer, "power": power, "ours": exact}  # all are trained
    times = interleaved(
        {name: step(module, case.shape) for name, module in calls.items()}, seconds
    )
    return {
        "layer": case.name,
        "input": list(case.shape),
        "norm": truth,
        "error": abs(ours - truth) / truth,
        "reshaped": theirs,
        "left": truth / theirs,
        "lower": lower / truth,
        "upper": upper / truth,
        **{f"{name} s": list(found) for name, found in times.items()},
    }


def true_norm(layer, shape):
    """By ARPACK, on the operator in double precision."""
    op = operator(layer, shape, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(min(op.shape))
    return float(svds(op, 1, tol=1e-12, v0=start, return_singular_vectors=False)[0])


def step(module, shape):
    """A function that makes one step of training."""
    torch.manual_seed(1)
    x = torch.randn(BATCH, *shape)
    descent = torch.optim.SGD(module.parameters(), lr=1e-4)

    def run():
        descent.zero_grad()
        module(x).square().mean().backward()
        descent.step()

    return run
