"""Some kernels, each launched by one call, for the counters of Nsight Compute.

The calls are timed first, without counters; then each is made once between the marks
that the profiler can be told to wait for::

    ncu --clock-control none --profile-from-start off --csv --log-file counters.csv \\
        --section SpeedOfLight --section Occupancy --section LaunchStats \\
        python -m benchmarks.gpu.counters
"""

import functools
import sys

import numpy as np

from ..support.layers import Layer
from ..support.measure import interleaved
from . import arrays, device
from .timing import Events, milliseconds

CUT = 96  # images of 256x256 pixels
LAYERS = (
    ("float32", Layer(3, 8, 3, 256, CUT)),
    ("float64", Layer(3, 8, 3, 256, CUT // 2)),
    ("float32", Layer(1, 1, 3, 512, CUT)),
    ("float32", Layer(3, 8, 3, 256, CUT, stride=2)),
    ("float32", Layer(64, 64, 3, 64, CUT)),
    ("float32", Layer(1, 1, 11, 128, 1)),
)
LONG = 2**26  # numbers of a vector
BASES = ((2**14, 25), (2**22, 25))  # numbers of a vector, and vectors of a basis
CHANNELS, SIZE = 3, 256  # of the circulant product


def main():
    xp, reason = device.find()
    if xp is None:
        print(f"no CUDA device that CuPy can use: {reason}", file=sys.stderr)
        return 2
    for name, call in calls(xp):
        times = interleaved({name: call}, 0.0, 7, taken=Events(xp))[name]
        print(f"{name}: {milliseconds(times)[1]:.4g} ms", flush=True)
    for name, call in calls(xp):
        xp.cuda.runtime.profilerStart()
        call()
        xp.cuda.Device().synchronize()
        xp.cuda.runtime.profilerStop()
    return 0


def calls(xp):
    """``(name, call)`` in the order of the counters."""
    for dtype, layer in LAYERS:
        op = layer.operator(dtype, xp)
        shapes = {"forward": op.input_shape, "adjoint": op.output_shape}
        for name, shape in shapes.items():
            x = arrays.noise(xp, (layer.batch, *shape), dtype)
            yield f"{layer}, {dtype}, {name}", functools.partial(getattr(op, name), x)
    yield from vectors(xp)
    yield from projections(xp)
    yield circulant(xp)


def vectors(xp):
    """Updates and sums of long vectors."""
    from convinv.kernels.vectors import cuda

    x, y, z = (arrays.noise(xp, (1, LONG), "float32") for _ in range(3))
    one = xp.ones(1)
    for name, arguments in {
        "axpy": (one, x, y),
        "dot": (x, y),
        "step": (one, x, y, z, one),
        "sumsq": (x,),
    }.items():
        yield f"{name}, {LONG}", functools.partial(getattr(cuda, name), *arguments)


def projections(xp):
    """The orthogonalization of GMRES."""
    from convinv.kernels.vectors import cuda

    for length, count in BASES:
        basis = 1e-3 * arrays.noise(xp, (count, 1, length), "float32")
        w = arrays.noise(xp, (1, length), "float32")
        call = functools.partial(cuda.project, basis, count, None, w)
        yield f"project, {length} by {count}", call


def circulant(xp):
    """A matrix at every frequency, with the transforms around it."""
    from convinv.kernels.circulant import cuda

    torus = (1, SIZE, SIZE)
    bins = (1, SIZE, SIZE // 2 + 1)
    blocks = np.ones((1, CHANNELS, CHANNELS, *bins), complex)
    v = arrays.noise(xp, (CUT, 1, CHANNELS, *torus), "float32")
    plan = cuda.prepare(blocks, torus, "float32")
    return f"circulant, {CHANNELS} channels", lambda: cuda.apply(plan, v)


if __name__ == "__main__":
    sys.exit(main())
