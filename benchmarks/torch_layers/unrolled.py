"""Conjugate gradients that PyTorch differentiates step by step."""

from torch.nn import functional


def unrolled(y, weight, damp, steps):
    """x after so many steps for the normal equations, from 0."""

    def normal(x):
        product = functional.conv2d(x, weight)
        return functional.conv_transpose2d(product, weight) + damp**2 * x

    def dot(a, b):
        return (a * b).sum(dim=(1, 2, 3), keepdim=True)

    r = functional.conv_transpose2d(y, weight)
    x, p, energy = 0 * r, r, dot(r, r)
    for _ in range(steps):
        q = normal(p)
        alpha = energy / dot(p, q)
        x, r = x + alpha * p, r - alpha * q
        energy, before = dot(r, r), energy
        p = r + energy / before * p
    return x
