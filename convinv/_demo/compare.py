"""The first part of ``convinv demo``: a layer is inverted by several methods."""

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
from .._files import load_array
from .._solve.front import methods, solve
from ..operators._convolution import ConvLinearOperator
from .picture import draw
from .quality import SMALLEST, psnr, ssim

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

    @property
    def facts(self):
        """For ``--json``."""
        return {
            "method": self.method,
            "taken": self.result.method,
            "iterations": self.result.nit,
            "seconds": self.result.seconds,
            "seconds_again": self.again,
            "psnr": self.psnr,
            "ssim": self.ssim,
            "psnr_to_pinv": self.to_reference,
            "peak_bytes": self.peak,
            "status": self.result.status.name,
            "message": self.result.message,
        }


def run(args, output):
    """Run the comparison for the command line's arguments.

    `output` takes lines for people (``line``, ``fact``) and ``facts`` for JSON.
    """
    xp = library(args.device)
    x, op, b = _problem(args, xp)
    m, n = op.shape
    for method in methods():
        if method.name in args.method and method.hermitian and m != n:
            raise ValueError(
                f"--method: {method.name} needs a square Hermitian operator, and the "
                f"layer makes {m} equations for {n} unknowns"
            )
    say = output.fact
    say("photograph", f"{args.image}, {times(x.shape)}, between 0 and 1")
    say("layer", f"{_layer(args, op)}: {m} equations, {n} unknowns")
    say("noise", f"{100 * args.noise:.4g} % of the photograph's standard deviation")
    damp = _damp(op, b, args, say)
    seconds = _compile(op, args, damp)
    cached = ", from the cache" if seconds < 1 else ", cached for the next run"
    say("compilation", f"{seconds:.1f} s{cached if args.device == 'cpu' else ''}")
    reference = _reference(op, b, damp, say)
    output.line(f"\n{HEADER}")
    rows = []
    for method in args.method:
        try:
            rows.append(_row(method, op, b, args, x, reference, damp))
        except ValueError as refusal:  # this method refuses, the others continue
            if method == args.method[-1] and not rows:
                raise
            output.line(f"{method:<12}{refusal}")
        else:
            output.line(str(rows[-1]))
    for row in rows:
        if row.method == "auto" or not row.result.success:
            output.line("\n" + textwrap.fill(f"{row.method}: {row.result.message}", 88))
    draw(args.output, Path(args.image).stem, x, to_numpy(b), rows)
    output.line(f"\npicture: {args.output}")
    output.facts["layer"] = {
        "photograph": args.image,
        "equations": m,
        "unknowns": n,
        "noise": args.noise,
        "damp": damp,
        "methods": [row.facts for row in rows],
        "picture": args.output,
    }


def _damp(op, b, args, say):
    """The damp as a number: given, or chosen by a rule for all methods."""
    if not isinstance(args.damp, str):
        return args.damp
    damp = _solve(op, b, "auto", damp=args.damp, rng=args.seed).extra["damp"]
    say("damp", f"{damp:.4g}, chosen by {args.damp}")
    return damp


def times(numbers):
    """Sizes in words."""
    return " x ".join(map(str, numbers))


def _layer(args, op):
    c_out, c_in, *size = op.kernel.shape
    origin = args.kernel or f"torch's default weights, seed {args.seed}"
    return f"{c_in} -> {c_out} channels, {times(size)} ({origin})"


def library(device):
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
    channels, groups = x.shape[0], args.options.get("groups", 1)
    if args.kernel is None:
        filters = 8 if args.filters is None else args.filters
        c_in = max(channels // groups, 1)
        kernel = gallery.conv_layer(c_in, filters, rng=rng, dtype=args.dtype)
    else:
        kernel = _load_kernel(args.kernel, channels, groups).astype(args.dtype)
    size = kernel.shape[2:]
    if min(x.shape[1:]) < SMALLEST or any(k > s for k, s in zip(size, x.shape[1:])):
        raise ValueError(
            f"an image of {times(x.shape[1:])} pixels is too small: it must have "
            f"{SMALLEST} or more on both axes, and no fewer than the kernel, "
            f"{times(size)}"
        )
    op = ConvLinearOperator(kernel, x.shape, **args.options)
    b = gallery.add_noise(op.forward(x), args.noise, rng, reference=x)
    if xp is not np:
        kernel, b = xp.asarray(kernel), xp.asarray(b)
        op = ConvLinearOperator(kernel, x.shape, **args.options)
    return x, op, b


def _load_kernel(path, channels, groups):
    kernel = load_array(path)
    shape = f"--kernel: {path!r} has shape {kernel.shape}"
    if kernel.dtype.kind not in "fiu":
        raise ValueError(f"--kernel: {path!r} must hold one array of real numbers")
    if kernel.ndim != 4 or 0 in kernel.shape:
        raise ValueError(f"{shape}, not (C_out, C_in, height, width)")
    if kernel.shape[1] * groups != channels:
        raise ValueError(
            f"{shape}, so C_in = {kernel.shape[1] * groups}, but the image has "
            f"{channels} channel{'s' if channels > 1 else ''}"
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


def _compile(op, args, damp):
    """Seconds of small solves that compile all code of the demo."""
    start = time.perf_counter()
    xp, kernel = op.xp, op.kernel
    size = [5 * k + 8 for k in kernel.shape[2:]]  # large enough for tori with bands
    small = ConvLinearOperator(kernel, (op.input_shape[0], *size), **op.options)
    b = xp.ones(small.output_shape, dtype=op.dtype)
    for method in args.method:
        if method in ("auto", "schwarz"):
            _solve(small, b, "schwarz", maxiter=2, depth=1, damp=damp)
        if method != "schwarz":
            _solve(small, b, method, maxiter=2, damp=damp)
    _solve(small.astype("float64"), b.astype("float64"), REFERENCE["method"], maxiter=2)
    return time.perf_counter() - start


def _reference(op, b, damp, say):
    """The (damped) least-squares solution of least norm, on the host."""
    wide = op.astype("float64"), b.astype("float64")
    result = _solve(*wide, **REFERENCE, damp=damp)
    name, rtol = REFERENCE["method"], REFERENCE["rtol"]
    kind = "damped least-squares" if damp else "least-squares"
    end = "converged" if result.success else "NOT converged"
    say(
        "pinv",
        f"the {kind} solution by {name} in float64 with rtol {rtol:g}, {end} after "
        f"{result.nit} iterations, {result.seconds:.1f} s",
    )
    return to_numpy(result.x)


def _row(method, op, b, args, x, reference, damp):
    """Solve to measure memory, then time: from scratch and once more."""
    options = {"rtol": args.rtol, "maxiter": args.maxiter, "rng": args.seed}
    options["damp"] = damp
    op = _fresh(op)
    result, peak = _traced(op.xp, lambda: _solve(op, b, method, **options))
    if result.seconds < LONG:  # or tracing takes little of it
        op = _fresh(op)
        result = _solve(op, b, method, **options)
    again = _solve(op, b, method, **options).seconds
    picture = to_numpy(result.x)
    to_reference = psnr(reference, picture)
    quality = psnr(x, picture), ssim(x, picture)
    return Row(method, result, again, picture, *quality, to_reference, peak)


def _fresh(op):
    """The same layer without the set-ups that solves have kept with it."""
    return ConvLinearOperator(op.kernel, op.input_shape, **op.options)


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
