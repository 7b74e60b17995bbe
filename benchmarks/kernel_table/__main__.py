"""Tables of the CPU kernels' speed: against torch, a floor, and zero padding.

Run from the repository's root::

    python -m benchmarks.kernel_table --output benchmarks/results/kernels.md

Calls that are compared are measured in turn in one process, on the same arrays and the
same number of threads. Pairs of figures are the shortest time and the median. Nothing
else should run meanwhile: the load average in the heading tells.
"""

import argparse
import importlib.metadata
import os
import pathlib
import platform
import sys

import numpy as np

from ..support.measure import interleaved, iteration
from ..support.problems import BARS, DTYPES, Layer

BOUNDARIES = ("periodic", "reflect", "symmetric", "replicate")
THREAD_VARIABLES = (
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)
PACKAGES = ("convinv", "numpy", "scipy", "numba", "torch")


def main():
    args = parse()
    if args.plan:
        parts = (plan,)
    else:
        with_threads(args.threads)
        tables = (channels,) if args.channels else (bars, floor, boundaries, iterations)
        parts = (heading, *tables)
    sections = [part(args) for part in parts]
    text = "\n\n".join(sections) + "\n"
    print(text, end="")
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(text, encoding="utf-8")


def parse():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kernel_table", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="few rounds of each call")
    parser.add_argument("--threads", type=int, default=2, help="default 2")
    parser.add_argument("--output", type=pathlib.Path, help="also write the text here")
    section = parser.add_mutually_exclusive_group()
    section.add_argument(
        "--channels",
        action="store_true",
        help="GFlop/s by number of channels, beside im2col and BLAS",
    )
    section.add_argument(
        "--plan", action="store_true", help="operations and bytes only, no measurement"
    )
    return parser.parse_args()


def with_threads(count, module="benchmarks.kernel_table"):
    """Start again with `count` threads set for every library, unless they are."""
    wanted = dict.fromkeys(THREAD_VARIABLES, str(count))
    if wanted.items() <= os.environ.items():
        return
    os.environ.update(wanted)
    os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])


def heading(args, title="Speed of the CPU kernels", module="benchmarks.kernel_table"):
    """What was measured where, and by which command."""
    versions = [f"{name} {version(name)}" for name in PACKAGES]
    command = " ".join([f"python -m {module}", *sys.argv[1:]])
    load = f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"
    lines = [
        f"# {title}",
        "",
        f"- command: `{command}`",
        f"- processor: {processor()}, {os.cpu_count()} cores, {args.threads} threads, "
        f"load average at the start {load}",
        f"- {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}, {', '.join(versions)}",
    ]
    return "\n".join(lines)


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        module = sys.modules.get(package)
        return getattr(module, "__version__", "missing")


def processor():
    info = pathlib.Path("/proc/cpuinfo")
    names = [
        line.split(":", 1)[1].strip()
        for line in (info.read_text() if info.exists() else "").splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor() or "unknown"


def torch_here():
    try:
        import torch
    except ImportError:
        return None
    return torch


def rounds(args):
    return {"seconds": 0.05, "rounds": 3} if args.quick else {"seconds": 2.0}


def products(layer, dtype):
    """The operator, and its two products as functions without arguments."""
    op, x, y = layer.data(dtype)
    return op, {
        "forward": lambda: op.forward(x),
        "adjoint": lambda: op.adjoint(y),
    }


def bars(args):
    """Every bar problem beside torch."""
    torch, rows = torch_here(), []
    if torch is not None:
        torch.set_num_threads(args.threads)
    for layer in BARS:
        for dtype in DTYPES:
            op, x, y = layer.data(dtype)
            ours = {"forward": lambda: op.forward(x), "adjoint": lambda: op.adjoint(y)}
            peers = {} if torch is None else layer.torch_products(op, x, y)
            for i, name in enumerate(ours):
                calls = {"convinv": ours[name]}
                if torch is not None:
                    calls["torch"] = peers[i]
                times = interleaved(calls, **rounds(args))
                own, peer = times["convinv"], times.get("torch")
                rows.append(
                    (
                        layer,
                        dtype,
                        name,
                        milliseconds(own),
                        milliseconds(peer) if peer else "",
                        pair(*own.over(peer)) if peer else "",
                        f"{operations(layer, op) / own.least / 1e9:.1f}",
                    )
                )
    text = "conv2d and conv_transpose2d; below a ratio of 1 convinv is faster"
    names = "layer,dtype,product,convinv ms,torch ms,ratio,GFlop/s"
    return section("Against torch", text, names, rows)


def operations(layer, op):
    """Floating-point operations of one product with the batch."""
    return 2 * op.geometry.multiplications * layer.batch


def traffic(layer, op):
    """Bytes of one product: input and output, each moved once."""
    return sum(op.shape) * layer.batch * op.dtype.itemsize


def plan(args):
    """Operations and bytes of the bar problems."""
    rows = []
    for layer in BARS:
        ops = [layer.operator(dtype) for dtype in DTYPES]
        work, moved = operations(layer, ops[0]), [traffic(layer, op) for op in ops]
        rows.append(
            (
                layer,
                f"{work / 1e9:.2f}",
                *(f"{m / 1e6:.1f}" for m in moved),
                f"{work / moved[0]:.0f}",
            )
        )
    names = "layer,GFlop,float32 MB,float64 MB,Flop per byte (float32)"
    text = "Either product, with the whole batch"
    return section("Work of one product", text, names, rows)


def floor(args):
    """How far the products are from what the machine can do."""
    rows, notes = [], []
    for dtype in DTYPES:
        peak, bandwidth = reachable(dtype, args)
        notes.append(f"{dtype}: {peak / 1e9:.0f} GFlop/s, {bandwidth / 1e9:.1f} GB/s")
        for layer in BARS:
            op, calls = products(layer, dtype)
            work, moved = operations(layer, op), traffic(layer, op)
            least = max(work / peak, moved / bandwidth)
            bound = "arithmetic" if work / peak >= moved / bandwidth else "memory"
            times = interleaved(calls, **rounds(args))
            rows.append(
                (
                    layer,
                    dtype,
                    bound,
                    f"{1e3 * least:.2f}",
                    *(milliseconds(t) for t in times.values()),
                    *(f"{t.least / least:.1f}" for t in times.values()),
                )
            )
    text = (
        "The floor is the longer of the arithmetic at the rate of a large matrix "
        "product (NumPy's BLAS) and of the traffic at the rate of a large copy; "
        f"measured here: {'; '.join(notes)}"
    )
    columns = "forward ms,adjoint ms,forward/floor,adjoint/floor"
    names = f"layer,dtype,bound,floor ms,{columns}"
    return section("Against a floor", text, names, rows)


def reachable(dtype, args):
    """Flop/s of a large matrix product, and bytes per second of a large copy."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((1536, 1536)).astype(dtype) for _ in range(2))
    c = np.empty_like(a)
    source = np.ones(2**25, dtype)
    target = np.zeros_like(source)
    times = interleaved(
        {
            "product": lambda: np.matmul(a, b, out=c),
            "copy": lambda: np.copyto(target, source),
        },
        **rounds(args),
    )
    work, moved = 2 * 1536**3, 2 * source.nbytes
    return work / times["product"].least, moved / times["copy"].least


def boundaries(args):
    """Every boundary beside zero padding."""
    rows = []
    for dtype in DTYPES:
        layers = {
            name: Layer(3, 8, 3, 256, 20, padding=1, boundary=name)
            for name in ("zero", *BOUNDARIES)
        }
        built = {name: products(layer, dtype)[1] for name, layer in layers.items()}
        for direction in ("forward", "adjoint"):
            calls = {name: built[name][direction] for name in built}
            times = interleaved(calls, **rounds(args))
            for name in BOUNDARIES:
                ratio = times[name].over(times["zero"])
                shown = (milliseconds(times[k]) for k in (name, "zero"))
                rows.append((name, dtype, direction, *shown, pair(*ratio)))
    text = f"{layers['zero']}, padding 1; the bar is a ratio of 1.3"
    names = "boundary,dtype,product,ms,zero ms,ratio"
    return section("Boundaries", text, names, rows)


def iterations(args):
    """What an iteration costs beside its two products."""
    rows = []
    for method in ("cgls", "rshk"):
        for dtype in DTYPES:
            layer, rounds = BARS[0], 1 if args.quick else 8
            times = iteration(method, layer, dtype, rounds=rounds)
            shown = (milliseconds(times[k]) for k in ("iteration", "products"))
            ratio = pair(*times["iteration"].over(times["products"]))
            rows.append((method, layer, dtype, *shown, ratio))
    text = "The two products of an iteration, timed in turn with whole iterations"
    names = "method,layer,dtype,iteration ms,products ms,ratio"
    return section("One iteration", text, names, rows)


def channels(args):
    """GFlop/s by number of channels, of the direct kernel and of im2col + BLAS."""
    torch, rows = torch_here(), []
    if torch is not None:
        torch.set_num_threads(args.threads)
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


def milliseconds(seconds):
    return pair(1e3 * seconds.least, 1e3 * seconds.median)


def pair(least, median):
    return f"{least:.2f} / {median:.2f}"


def section(title, text, names, rows):
    """A heading, a sentence and a table with columns of equal width."""
    table = [names.split(","), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |"
        for row in table
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join([f"## {title}", "", f"{text}.", "", *lines])


if __name__ == "__main__":
    main()
