"""Algorithm 1 of the paper in PyTorch, as printed but for what can't run as it is.

The trimmed matrix A of a strip, its pseudoinverse P by QR and ``K = I - P A`` are made
once; then ``x_s = K x_s + P b_s``, strip after strip. Corrected are the ranges of both
loops, that P is made before the first strip, that K meets the present x at the strip's
own unknowns, and the axis of the batch: here it is the first, as the indices of the
listing have it. Nothing is left out where K is zero but for rounding errors.
"""

import torch


def invert(kernel, b, size, h_b, sweeps=1):
    """x of shape (batch, C_in, *size) for b of (batch, C_out, *output) and a kernel.

    No padding and stride 1; a strip takes `h_b` outputs of every channel, whole rows
    of them or a part of one.
    """
    (filters, channels, *taps), (height, width) = kernel.shape, size
    length = width - taps[1] + 1
    outputs = (height - taps[0] + 1) * length
    window = max(h_b // length, 1), min(h_b, length)
    reach = [n + k - 1 for n, k in zip(window, taps)]
    A = trimmed(kernel, reach)
    P = pseudoinverse(A)
    K = torch.eye(A.shape[1]) - P @ A
    b = b.reshape(len(b), -1)
    x = torch.zeros(len(b), channels * height * width)
    for _ in range(sweeps):
        for start in range(0, outputs, h_b):
            top, left = start // length, start % length
            rows = indices(filters, outputs, torch.arange(start, start + h_b))
            pixels = pixels_of(top, left, reach, width)
            columns = indices(channels, height * width, pixels)
            x[:, columns] = x[:, columns] @ K.T + b[:, rows] @ P.T
    return x.reshape(len(b), channels, height, width)


def trimmed(kernel, reach):
    """The matrix of a window of inputs: the layer applied to its unit vectors."""
    unknowns = kernel.shape[1] * reach[0] * reach[1]
    unit = torch.eye(unknowns).reshape(unknowns, kernel.shape[1], *reach)
    return torch.conv2d(unit, kernel).reshape(unknowns, -1).T


def pseudoinverse(A):
    """By QR, of a matrix that has full rank."""
    if A.shape[0] < A.shape[1]:
        return pseudoinverse(A.T).T
    Q, R = torch.linalg.qr(A)
    return torch.linalg.solve_triangular(R, Q.T, upper=True)


def pixels_of(top, left, reach, width):
    """Numbers of the pixels of a window, in one channel."""
    down = torch.arange(top, top + reach[0])
    across = torch.arange(left, left + reach[1])
    return (down[:, None] * width + across).ravel()


def indices(channels, size, within):
    """The same places of every channel."""
    return (torch.arange(channels)[:, None] * size + within).ravel()
