"""The command ``convinv demo``: an inversion by several methods, a table, a picture."""

import importlib
import math
import textwrap
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import gallery
from .._core.arrays import to_numpy
from .._core.result import SolveResult
from .._solve.front import methods, solve
from ..operators._convolution import ConvLinearOperator

SMALLEST = 7  # pixels, the window of SSIM
REFERENCE = {"method": "lsmr", "rtol": 1e-13}
LONG = 1.0  # seconds; solves that take longer are not repeated to be timed
HEADER = (
    "method      iterations   seconds     again     PSNR     SSIM   PSNR to      peak"
    "  status\n"
    "                                               [dB]           pinv [dB]      [MB]"
)


@dataclass
class Row:
    """One method's results for the table.

    `method` is the name requested, `result` that of the first solve, including set-up,
    `again` the seconds of a second solve with the same operator, `picture` x on the
    host.
    """

    method: str
    result: SolveResult
    again: float
    picture: np.ndarray
    psnr: float
    ssim: float
    to_reference: float
    peak: int

    def __str__(self):
        return (
            f"{self.method:<12}{self.result.nit:>10}{self.result.seconds:>10.3f}"
            f"{self.again:>10.3f}{self.psnr:>9.2f}{self.ssim:>9.4f}"
            f"{self.to_reference:>12.2f}"
            f"{self.peak / 1e6:>10.1f}  {self.result.status.name.lower()}"
        )


def run(args):
    """Run the comparison for the command line's arguments."""
    _refuse_nonsense(args)
    xp = _library(args.device)
    x, op, b = _problem(args, xp)
    m, n = op.shape
    for method in methods():
        if method.name in args.method and method.hermitian and m != n:
            raise ValueError(
                f"--method: {method.name} needs a square Hermitian operator, and the "
                f"layer makes {m} equations for {n} unknowns"
            )
    _say("photograph", f"{args.image}, {_times(x.shape)}, between 0 and 1")
    _say("layer", f"{_layer(args, op)}: {m} equations, {n} unknowns")
    _say("noise", f"{100 * args.noise:.4g} % of the photograph's standard deviation")
    seconds = _compile(op, args)
    cached = ", from the cache" if seconds < 1 else ", cached for the next run"
    _say("compilation", f"{seconds:.1f} s{cached if args.device == 'cpu' else ''}")
    reference = _reference(op, b)
    print(f"\n{HEADER}", flush=True)
    rows = []
    for method in args.method:
        try:
            rows.append(_row(method, op, b, args, x, reference))
        except ValueError as refusal:  # this method refuses, the others continue
            if method == args.method[-1] and not rows:
                raise
            print(f"{method:<12}{refusal}", flush=True)
        else:
            print(rows[-1], flush=True)
    for row in rows:
        if row.method == "auto" or not row.result.success:
            print("\n" + textwrap.fill(f"{row.method}: {row.result.message}", 88))
    from .picture import draw

    draw(args.output, Path(args.image).stem, x, to_numpy(b), rows)
    print(f"\npicture: {args.output}")


def _say(what, text):
    print(f"{what:<12}{text}", flush=True)


def _times(numbers):
    return " x ".join(map(str, numbers))


def _layer(args, op):
    c_out, c_in, *size = op.kernel.shape
    origin = args.kernel or f"torch's default weights, seed {args.seed}"
    return f"{c_in} -> {c_out} channels, {_times(size)} ({origin})"


def _refuse_nonsense(args):
    """Raise for wrong arguments before any work."""
    if args.size < SMALLEST and args.size != 0:
        raise ValueError(f"--size must be 0 or at least {SMALLEST}, got {args.size}")
    if args.filters is not None and args.filters < 1:
        raise ValueError(f"--filters must be at least 1, got {args.filters}")
    if args.filters is not None and args.kernel is not None:
        raise ValueError("give --filters or --kernel, not both")
    if args.seed < 0:
        raise ValueError(f"--seed must not be negative, got {args.seed}")
    for name, value in (("noise", args.noise), ("rtol", args.rtol)):
        if not 0 <= value < np.inf:
            raise ValueError(f"--{name} must be 0 or more, got {value}")
    if args.maxiter is not None and args.maxiter < 0:
        raise ValueError(f"--maxiter must not be negative, got {args.maxiter}")
    for package, name in (("skimage", "scikit-image"), ("matplotlib", "matplotlib")):
        try:
            importlib.import_module(package)
        except ImportError:
            raise ImportError(
                f'the demo needs {name}: pip install "convinv[demo]"'
            ) from None
    from matplotlib.figure import Figure

    output = Path(args.output)
    formats = sorted(Figure().canvas.get_supported_filetypes())
    if output.suffix.lstrip(".") not in formats:
        raise ValueError(
            f"--output must end in one of .{', .'.join(formats)}, got {args.output!r}"
        )
    if not output.parent.is_dir():
        raise ValueError(f"--output: there is no folder {str(output.parent)!r}")


def _library(device):
    """NumPy, or CuPy with a device that works."""
    if device == "cpu":
        return np
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        raise ImportError(
            '--device gpu needs CuPy: pip install "convinv[cuda12]" or '
            '"convinv[cuda13]", whichever CUDA the driver has'
        ) from None
    try:
        cupy.zeros(1).sum()
    except Exception as error:  # CUDA's, of many kinds
        raise ValueError(f"--device gpu: CuPy finds no device: {error}") from None
    return cupy


def _problem(args, xp):
    """The photograph on the host; the operator and the noisy data on the device."""
    x = gallery.image(args.image, args.size or None, dtype=args.dtype)
    rng = np.random.default_rng(args.seed)
    if args.kernel is None:
        filters = 8 if args.filters is None else args.filters
        kernel = gallery.conv_layer(x.shape[0], filters, rng=rng, dtype=args.dtype)
    else:
        kernel = _load_kernel(args.kernel, x.shape[0]).astype(args.dtype)
    size = kernel.shape[2:]
    if min(x.shape[1:]) < SMALLEST or any(k > s for k, s in zip(size, x.shape[1:])):
        raise ValueError(
            f"an image of {_times(x.shape[1:])} pixels is too small: it must have "
            f"{SMALLEST} or more on both axes, and no fewer than the kernel, "
            f"{_times(size)}"
        )
    op = ConvLinearOperator(kernel, x.shape)
    b = gallery.add_noise(op.forward(x), args.noise, rng, reference=x)
    if xp is not np:
        op, b = ConvLinearOperator(xp.asarray(kernel), x.shape), xp.asarray(b)
    return x, op, b


def _load_kernel(path, channels):
    try:
        kernel = np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        raise ValueError(f"--kernel: {path!r} holds no array; see numpy.save") from None
    if not isinstance(kernel, np.ndarray) or kernel.dtype.kind not in "fiu":
        raise ValueError(f"--kernel: {path!r} must hold one array of real numbers")
    shape = f"--kernel: {path!r} has shape {kernel.shape}"
    if kernel.ndim != 4 or 0 in kernel.shape:
        raise ValueError(f"{shape}, not (C_out, C_in, height, width)")
    if kernel.shape[1] != channels:
        raise ValueError(
            f"{shape}, so C_in = {kernel.shape[1]}, but the image has {channels} "
            f"channel{'s' if channels > 1 else ''}"
        )
    if not np.isfinite(kernel).all() or not kernel.any():
        raise ValueError(f"--kernel: {path!r} must be finite and not all zero")
    return kernel


def _solve(op, b, method, **options):
    if method == "gmres":
        options["normal"] = True  # it takes square operators only otherwise
    if method == "strip":
        options["window"] = _window(op)
    return solve(op, b, method, on_failure="ignore", **options)


def _window(op):
    """A window for `strip`: the large default windows take many times longer here."""
    c_out, c_in, *size = op.kernel.shape
    for side in 16, 32, 64:
        window = [min(side, n) for n in op.output_shape[1:]]
        unknowns = c_in * math.prod(w + k - 1 for w, k in zip(window, size))
        if c_out * math.prod(window) > 1.1 * unknowns:
            return tuple(window)
    return None


def _compile(op, args):
    """Seconds of small solves that compile all code of the demo."""
    start = time.perf_counter()
    xp, kernel = op.xp, op.kernel
    size = [5 * k + 8 for k in kernel.shape[2:]]  # large enough for tori with bands
    small = ConvLinearOperator(kernel, (kernel.shape[1], *size))
    b = xp.ones(small.output_shape, dtype=op.dtype)
    for method in args.method:
        if method in ("auto", "schwarz"):
            _solve(small, b, "schwarz", maxiter=2, depth=1)
        if method != "schwarz":
            _solve(small, b, method, maxiter=2)
    _solve(small.astype("float64"), b.astype("float64"), REFERENCE["method"], maxiter=2)
    return time.perf_counter() - start


def _reference(op, b):
    """The least-squares solution of least norm, on the host."""
    result = _solve(op.astype("float64"), b.astype("float64"), **REFERENCE)
    name, rtol = REFERENCE["method"], REFERENCE["rtol"]
    end = "converged" if result.success else "NOT converged"
    _say(
        "pinv",
        f"the least-squares solution by {name} in float64 with rtol {rtol:g}, {end} "
        f"after {result.nit} iterations, {result.seconds:.1f} s",
    )
    return to_numpy(result.x)


def _row(method, op, b, args, x, reference):
    """Solve to measure memory, then time: from scratch and once more."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    options = {"rtol": args.rtol, "maxiter": args.maxiter, "rng": args.seed}
    op = _fresh(op)
    result, peak = _traced(op.xp, lambda: _solve(op, b, method, **options))
    if result.seconds < LONG:  # or tracing takes little of it
        op = _fresh(op)
        result = _solve(op, b, method, **options)
    again = _solve(op, b, method, **options).seconds
    picture = to_numpy(result.x)
    with np.errstate(divide="ignore"):  # of equal images
        psnr = peak_signal_noise_ratio(x, picture, data_range=1)
        to_reference = peak_signal_noise_ratio(
            reference, picture.astype(reference.dtype), data_range=1
        )
    ssim = structural_similarity(x, picture, data_range=1, channel_axis=0)
    return Row(method, result, again, picture, psnr, ssim, to_reference, peak)


def _fresh(op):
    """The same layer without the set-ups that solves have kept with it."""
    return ConvLinearOperator(op.kernel, op.input_shape)


def _traced(xp, work):
    """The result of `work`, and the peak of the bytes of its arrays."""
    if xp is not np:
        pool = xp.get_default_memory_pool()
        pool.free_all_blocks()
        before = pool.total_bytes()
        return work(), pool.total_bytes() - before
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
