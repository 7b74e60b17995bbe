"""The paper's training, for several networks at once."""

import math

import numpy as np
import torch

from convinv.interop.torch import LearnedInverse

from ...support.threads import one_torch_thread
from . import paper

RATE, DECAY = 5e-5, 1e-7
COSINES = 31  # 1 + 2 + 4 + 8 + 16: five of them, each twice as long as the one before
POOL = 1_000_000


@one_torch_thread()
def trained(data, layers, steps, runs, *, hidden=None):
    """LearnedInverse objects that differ in their weights' seeds and in their data.

    The weights of all are stacked, so that a step is one product of stacks: Adam treats
    every weight for itself, and the losses are added.
    """
    box = data.center, data.half_width
    learned = [
        LearnedInverse(*box, layers=layers, hidden=hidden, rng=run)
        for run in range(runs)
    ]
    linear = [[p for p in one.network if hasattr(p, "weight")] for one in learned]
    weights, biases = (
        [
            torch.stack([getattr(part, kind).detach() for part in same])
            for same in zip(*linear)
        ]
        for kind in ("weight", "bias")
    )
    parameters = [parameter.requires_grad_() for parameter in (*weights, *biases)]
    optimizer = torch.optim.Adam(parameters, lr=RATE, weight_decay=DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        optimizer, max(math.ceil(steps / COSINES), 1), 2
    )
    for x, y in batches(learned, steps):
        for k, (weight, bias) in enumerate(zip(weights, biases)):
            x = torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))
            x = torch.relu(x) if k < layers - 1 else x
        optimizer.zero_grad()
        (x - y).square().mean(dim=(1, 2)).sum().backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        for run, parts in enumerate(linear):
            for part, weight, bias in zip(parts, weights, biases):
                part.weight.copy_(weight[run])
                part.bias.copy_(bias[run])
    return learned


def batches(learned, steps):
    """Batches of every run's own matrices: of a million, over and over, for small n.

    Larger matrices are new in every batch, as in the paper.
    """
    n = len(learned[0].A0)
    most = POOL if n <= 3 else 100 * paper.BATCH
    count = min(most, steps * paper.BATCH) // paper.BATCH
    x = y = None
    rng = np.random.default_rng(n)
    for step in range(steps):
        place = step % count
        if place == 0:
            if x is None or n > 3:
                pairs = [one._pairs(count * paper.BATCH) for one in learned]
                x, y = (torch.stack(part) for part in zip(*pairs))
            order = torch.as_tensor(rng.permutation(count * paper.BATCH))
        here = order[place * paper.BATCH : (place + 1) * paper.BATCH]
        yield x[:, here], y[:, here]
