"""Networks that learn inverses of the matrices around a reference (needs PyTorch)."""

from __future__ import annotations

import math
import time
from typing import Self

import numpy as np
import torch

from ..._core.result import OnFailure, check_on_failure
from ..._core.typing import ArrayInput, Seed
from ..._linalg.matrix_norms import stack
from ...local_inverse._certify import InverseResult, proven_result
from ...local_inverse._relu import ReLUInverse

__all__ = ["LearnedInverse", "inverse_network"]


def inverse_network(
    n: int,
    layers: int = 2,
    hidden: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> torch.nn.Sequential:
    """The fully connected ReLU network of the paper, for matrices laid out in rows.

    Parameters
    ----------
    n : int
        The size of the matrices; there are ``n^2`` inputs and outputs.
    layers : int
        Fully connected layers, with one ReLU less.
    hidden : int, optional
        Units of each hidden layer, by default ``8 n^2``.
    dtype : torch.dtype
        Dtype of the weights.

    Returns
    -------
    torch.nn.Sequential

    Raises
    ------
    ValueError
        If `layers` is below 2, or a size below 1.

    Examples
    --------
    >>> from convinv.interop.torch import inverse_network
    >>> inverse_network(2, layers=3)
    Sequential(
      (0): Linear(in_features=4, out_features=32, bias=True)
      (1): ReLU()
      (2): Linear(in_features=32, out_features=32, bias=True)
      (3): ReLU()
      (4): Linear(in_features=32, out_features=4, bias=True)
    )
    """
    hidden = 8 * n * n if hidden is None else hidden
    if layers < 2 or n < 1 or hidden < 1:
        raise ValueError(
            "layers must be at least 2, n and hidden at least 1, got "
            f"layers={layers}, n={n}, hidden={hidden}"
        )
    sizes = [n * n, *[hidden] * (layers - 1), n * n]
    parts: list = []
    for before, after in zip(sizes, sizes[1:]):
        parts += [torch.nn.Linear(before, after, dtype=dtype), torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1])


class LearnedInverse:
    """A network trained on random matrices of a box, and their inverses.

    If `scaled`, its input is ``(A - A0) / half_width`` and its output the inverse in
    units of the training set's mean and deviation; the paper's network maps A to its
    inverse without scaling. Calling it certifies every answer.

    Parameters
    ----------
    A0 : array_like, shape (n, n)
        A real matrix, the center of the box.
    half_width : float
        Half width of the box ``|a_ij - a0_ij| <= half_width``;
        `convinv.local_inverse.FeasibleRegion` gives the largest safe value.
    layers, hidden, dtype
        The network, see `inverse_network`.
    scaled : bool
        Whether inputs and outputs are scaled to the size of 1.
    rng : None, int or numpy.random.Generator
        Source of the weights and of the matrices.

    Attributes
    ----------
    network : torch.nn.Sequential
    losses : list of float
        Mean squared errors of the training, in the network's units, at most a hundred
        per call of `fit`.

    Raises
    ------
    ValueError
        If A0 is not one real matrix, or the half width is not positive.

    Notes
    -----
    Neural matrix inversion after Ji, Wu and Xi, "Rethinking neural-based matrix
    inversion". No network of bounded growth approximates the inverse for all matrices,
    since the inverse has the size 1 / distance to the singular ones. In a box that
    avoids these it can be learned.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.interop.torch import LearnedInverse
    >>> learned = LearnedInverse([[2.0, 1.0], [1.0, 3.0]], 0.1, scaled=True, rng=0)
    >>> learned.fit(300, lr=1e-2).losses[-1] < 0.1
    True
    >>> found = learned(learned.sample(5))
    >>> found.success, found.x.shape
    (True, (5, 2, 2))
    """

    def __init__(
        self,
        A0: ArrayInput,
        half_width: float,
        *,
        layers: int = 2,
        hidden: int | None = None,
        scaled: bool = False,
        dtype: torch.dtype = torch.float32,
        rng: Seed = None,
    ):
        self.A0 = stack(A0, "A0")
        if self.A0.ndim != 2 or np.iscomplexobj(self.A0):
            raise ValueError(
                f"A0 must be one real matrix (n, n), got {self.A0.dtype} of shape "
                f"{self.A0.shape}"
            )
        if not 0 < half_width < math.inf:
            raise ValueError(
                f"half_width must be finite and positive, got {half_width!r}"
            )
        self.half_width = float(half_width)
        self.losses: list[float] = []
        self.rng = np.random.default_rng(rng)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self.rng.integers(2**31)))
            self.network = inverse_network(len(self.A0), layers, hidden, dtype)
        self.dtype = dtype
        size = self.A0.size
        self._units = (np.zeros(size), np.ones(size), np.zeros(size), np.ones(size))
        if scaled:
            y = np.linalg.inv(self.sample(2000)).reshape(-1, size)
            spread = np.maximum(y.std(axis=0), 1e-300)
            width = np.full(size, self.half_width)
            self._units = (self.A0.ravel(), width, y.mean(axis=0), spread)

    def sample(self, count: int) -> np.ndarray:
        """Random matrices of the box, uniform, of shape (count, n, n)."""
        shape = (count, *self.A0.shape)
        return self.A0 + self.rng.uniform(-self.half_width, self.half_width, shape)

    def fit(
        self,
        steps: int,
        *,
        batch: int = 128,
        lr: float = 5e-5,
        weight_decay: float = 1e-7,
        pool: int = 1_000_000,
        restart: int | None = None,
        factor: float = 2,
        least_lr: float = 0.0,
    ) -> Self:
        """Train by Adam on the mean squared error, as in the paper; returns `self`.

        Parameters
        ----------
        steps : int
            Batches to train on.
        batch : int
            Matrices in each batch.
        lr, weight_decay : float
            Of Adam.
        pool : int
            Matrices that are drawn and inverted together; each is used once before new
            ones are drawn.
        restart, factor, least_lr
            Of the learning rate's cosines with warm restarts: steps of the first cosine
            (by default all), ratio of successive lengths, and least rate.
        """
        network = self.network
        optimizer = torch.optim.Adam(
            network.parameters(), lr=lr, weight_decay=weight_decay, fused=True
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
            optimizer, max(restart or steps, 1), factor, least_lr
        )
        every = max(steps // 100, 1)
        x = y = torch.empty(0)
        done = 0
        for step in range(steps):
            if done + batch > len(x):
                x, y = self._pairs(max(min(pool, (steps - step) * batch), batch))
                done = 0
            here = slice(done, done + batch)
            loss = torch.nn.functional.mse_loss(network(x[here]), y[here])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            done += batch
            if step % every == 0 or step == steps - 1:
                self.losses.append(float(loss.detach()))
        return self

    def approximate(self, A: ArrayInput) -> np.ndarray:
        """The network's output, of shape (..., n, n): no check, no warning."""
        A = stack(A, "A")
        if A.shape[-2:] != self.A0.shape:
            raise ValueError(
                f"A must have shape (..., {len(self.A0)}, {len(self.A0)}), "
                f"got {A.shape}"
            )
        center, width, middle, spread = self._units
        flat = (A.reshape(-1, self.A0.size) - center) / width
        with torch.no_grad():
            out = self.network(torch.as_tensor(flat).to(self.dtype)).double().numpy()
        return (out * spread + middle).reshape(A.shape)

    def __call__(
        self, A: ArrayInput, *, on_failure: OnFailure = "warn"
    ) -> InverseResult:
        """The network's answers with a proven bound of their errors.

        An `InverseResult`, whose `success` tells whether every answer has a bound;
        `on_failure` says what to do if not, as in `solve`. Costs two products of
        matrices beside the network.
        """
        started = time.perf_counter()
        check_on_failure(on_failure)
        return proven_result(
            A,
            self.approximate(A),
            nit=1,
            method="LearnedInverse",
            advice="invert these exactly",
            started=started,
            on_failure=on_failure,
        )

    def set_weights(self, realization: ReLUInverse) -> Self:
        """Start from a `ReLUInverse`: the network becomes the linear approximation.

        Needs a network of two layers with as many hidden units, not `scaled`.
        """
        first, *_, last = self.network
        fits = (
            len(self.network) == 3
            and tuple(first.weight.shape) == realization.W1.shape
            and tuple(last.weight.shape) == realization.W2.shape
        )
        if not fits or not (self._units[1] == 1).all():
            raise ValueError(
                "realization must have the network's two layers and sizes, and the "
                f"network must not be scaled; got {realization!r} for {self.network}"
            )
        with torch.no_grad():
            for layer, weight, bias in (
                (first, realization.W1, realization.b1),
                (last, realization.W2, realization.b2),
            ):
                layer.weight.copy_(torch.as_tensor(weight))
                layer.bias.copy_(torch.as_tensor(bias))
        return self

    def _pairs(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        A = self.sample(count)
        center, width, middle, spread = self._units
        x = (A.reshape(count, -1) - center) / width
        y = (np.linalg.inv(A).reshape(count, -1) - middle) / spread
        return torch.as_tensor(x).to(self.dtype), torch.as_tensor(y).to(self.dtype)
