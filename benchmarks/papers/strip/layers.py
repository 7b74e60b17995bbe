"""A layer as the paper has it: the first of a small network, after training."""

import numpy as np

BATCH = 100
STEPS = 300
RATE = 1e-2


class Trained:
    """The paper's ConvNet, trained here to tell the classes of a source of images.

    One layer of 3 x 3 filters, leaky ReLU with slope 0.5, means of 2 x 2, and a linear
    classifier; Adam on the cross entropy. Of all this only the filters are kept.
    """

    def __init__(self, source, filters, steps=STEPS, seed=0):
        import torch

        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        x, labels = source.labeled(BATCH, rng)
        network = _network(torch, x.shape[1], filters, x.shape[2], source.classes)
        optimizer = torch.optim.Adam(network.parameters(), RATE)
        right = []
        for _ in range(steps):
            scores = network(torch.from_numpy(np.ascontiguousarray(x)))
            labels = torch.from_numpy(labels)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(scores, labels).backward()
            optimizer.step()
            right.append(float((scores.argmax(1) == labels).float().mean()))
            x, labels = source.labeled(BATCH, rng)
        self.accuracy = np.mean(right[-50:])
        self.kernel = network[0].weight.detach().numpy().copy()


def _network(torch, channels, filters, size, classes):
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(channels, filters, 3),
        nn.LeakyReLU(0.5),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(filters * ((size - 2) // 2) ** 2, classes),
    )
