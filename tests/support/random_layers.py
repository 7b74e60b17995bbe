"""Random layers with every option, and their options as the oracles take them."""

import numpy as np
from hypothesis import note, strategies as st

from convinv import ConvLinearOperator

from .arrays import BOUNDARIES, DTYPES, normal


def padding_pairs(padding, taps, dilation):
    """(before, after) per axis, from the words of the docstring."""
    if padding == "valid":
        padding = 0
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, taps)]
        return [(t // 2, t - t // 2) for t in total]
    if isinstance(padding, int):
        return [(padding, padding)] * len(taps)
    return [(p, p) if isinstance(p, int) else tuple(p) for p in padding]


def spelt_out(options, taps):
    """Options as a user gives them, one for every axis, from the words of the docs."""
    per_axis = {
        name: value if isinstance(value, tuple) else (value,) * len(taps)
        for name in ("stride", "dilation")
        for value in [options.get(name, 1)]
    }
    padding = options.get("padding", 0)
    return {
        **per_axis,
        "padding": tuple(padding_pairs(padding, taps, per_axis["dilation"])),
        "groups": options.get("groups", 1),
        "boundary": options.get("boundary", "zero"),
        "flip": options.get("flip", False),
    }


def full_options(op):
    """The options of an operator as the oracles take them, which flip no kernel."""
    return {name: value for name, value in op.options.items() if name != "flip"}


@st.composite
def configurations(draw):
    ndim = draw(st.integers(1, 3))
    per_axis = lambda s: draw(st.tuples(*[s] * ndim))  # noqa: E731
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    c_in, c_out = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    if groups > 1:
        c_in, c_out = (c_in + 1) // 2, (c_out + 1) // 2
    taps = per_axis(st.integers(1, (9, 5, 3)[ndim - 1]))
    dilation = per_axis(st.integers(1, 3))
    sizes = st.integers(1, (40, 13, 6)[ndim - 1])
    size = list(per_axis(sizes))
    kind = draw(st.sampled_from(["int", "axis", "pairs", "same", "valid"]))
    widths = st.one_of(st.integers(0, 2), st.integers(0, 11 - 2 * ndim))
    padding = {
        "int": lambda: draw(widths),
        "axis": lambda: per_axis(widths),
        "pairs": lambda: per_axis(st.tuples(widths, widths)),
    }.get(kind, lambda: kind)()
    # an image that is too small for the kernel is enlarged
    pairs = padding_pairs(padding, taps, dilation)
    for axis in range(ndim):
        reach = dilation[axis] * (taps[axis] - 1) + 1
        size[axis] = max(size[axis], reach - sum(pairs[axis]))
    strides = [1] if kind == "same" else [1, per_axis(st.integers(1, 4))]
    return {
        "kernel_shape": (groups * c_out, c_in, *taps),
        "input_shape": (groups * c_in, *size),
        "stride": draw(st.sampled_from(strides)),
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "boundary": draw(st.sampled_from(BOUNDARIES)),
        "flip": draw(st.booleans()),
        "dtype": draw(st.sampled_from(DTYPES)),
        "batch": draw(st.sampled_from([(), (1,), (3,), (2, 2)])),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


def random_layer(c):
    """``(rng, batch, kernel, operator)`` of a configuration."""
    rng = np.random.default_rng(c.pop("seed"))
    dtype, batch = c.pop("dtype"), c.pop("batch")
    kernel = normal(rng, c.pop("kernel_shape"), dtype)
    op = ConvLinearOperator(kernel, **c)
    assert op.options == spelt_out(c, kernel.shape[2:])
    note(repr(op))
    return rng, batch, kernel, op


def wide_kernel(kernel, op):
    """The kernel as the oracles take it: in double precision, turned round."""
    if op.flip:
        kernel = np.flip(kernel, range(2, kernel.ndim))
    return kernel.astype(np.result_type(kernel, "float64"))
