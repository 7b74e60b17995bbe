"""Log-determinants and their gradients, beside the dense matrix by PyTorch."""

import torch
from torch import nn

from convinv.interop.torch import logabsdet

from ..support.measure import interleaved

CASES = (  # channels, side, padding mode
    (3, 8, "circular"),
    (3, 8, "zeros"),
    (3, 16, "circular"),
    (3, 16, "zeros"),
    (12, 16, "circular"),
    (12, 16, "zeros"),
)
DENSE = 1000  # unknowns up to which the dense matrix is measured


def measure(case, seconds):
    """A row of the table."""
    channels, side, mode = case
    torch.manual_seed(0)
    layer = nn.Conv2d(
        channels, channels, 3, padding=1, padding_mode=mode, bias=False
    ).double()
    shape = (channels, side, side)
    size = channels * side**2

    def ours():
        layer.zero_grad()
        value = logabsdet(layer, shape)
        value.backward()
        return value

    def dense():
        layer.zero_grad()
        units = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
        value = torch.linalg.slogdet(layer(units).reshape(size, size))[1]
        value.backward()
        return value

    calls, row = {"ours": ours}, {"layer": f"{channels} -> {channels}, {mode}"}
    if size <= DENSE:
        calls["dense"] = dense
        value, gradient = ours().detach(), layer.weight.grad.clone()
        row["error"] = float((value - dense().detach()).abs() / value.abs())
        apart = (layer.weight.grad - gradient).abs().max() / gradient.abs().max()
        row["gradient error"] = float(apart)
    times = interleaved(calls, seconds)
    return {
        **row,
        "input": list(shape),
        **{f"{name} s": list(found) for name, found in times.items()},
    }
