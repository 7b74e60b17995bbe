"""Speed by number of channels, beside im2col and BLAS."""

import numpy as np

from ..support.layers import DTYPES, Layer, operations
from ..support.measure import interleaved
from ..support.tables import section
from .products import rounds, torch_or_none


def table(args):
    """GFlop/s by number of channels, of the direct kernel and of im2col + BLAS."""
    torch, rows = torch_or_none(args.threads), []
    for dtype in DTYPES:
        for c in (1, 2, 4, 8, 16, 32, 64, 128):
            layer = Layer(c, c, 3, 128 if c < 32 else 64, max(64 // c, 1))
            op, x, y = layer.data(dtype)
            calls = {
                "convinv": lambda: op.forward(x),
                "im2col": lambda: im2col_product(op.kernel, x),
            }
            if torch is not None:
                calls["torch"] = layer.torch_products(op, x, y)[0]
            error = np.abs(im2col_product(op.kernel, x) - op.forward(x)).max()
            assert error < 1e-4, "im2col computes something else"
            times = interleaved(calls, **rounds(args))
            work = operations(layer, op)
            speed = {k: f"{work / t.least / 1e9:.1f}" for k, t in times.items()}
            rows.append(
                (layer, dtype, *speed.values(), *[""] * (torch is None),
                 f"{times['convinv'].over(times['im2col'])[0]:.2f}")
            )  # fmt: skip
    text = (
        "Forward product, GFlop/s of the shortest times; im2col writes a matrix of "
        "windows and multiplies it by the kernel with NumPy's BLAS. The last column is "
        "convinv's time over im2col's"
    )
    names = "layer,dtype,convinv,im2col + BLAS,torch,ratio"
    return section("By channels", text, names, rows)


def im2col_product(kernel, x):
    """The valid correlation with stride 1 as one matrix product per image."""
    c_out, c_in, *taps = kernel.shape
    flat = kernel.reshape(c_out, -1)
    windows = np.lib.stride_tricks.sliding_window_view(x, taps, axis=(2, 3))
    batch, _, height, width = windows.shape[:4]
    y = np.empty((batch, c_out, height * width), x.dtype)
    for image, result in zip(windows, y):
        columns = image.transpose(0, 3, 4, 1, 2).reshape(flat.shape[1], -1)
        np.matmul(flat, columns, out=result)
    return y.reshape(batch, c_out, height, width)
