"""One image from a zarr store to another, beside a smaller one that fits in memory."""

from ..support.apart import apart
from ..support.measure import clock
from .problems import PROBLEMS, empty, store
from .residual import relative_normal_residual

PEAK, RESIDUAL, RATIO = 4e9, 1e-6, 1.5  # the bars
ROUNDS = 3  # of the image in memory, before and after the large one
LIMIT = 1800.0  # seconds until a run is given up


def measure(name, sizes, folder):
    """A row: the large image's time, memory and residual, and its time per pixel."""
    problem = PROBLEMS[name]
    side, small = sizes.side + problem.taps - 1, sizes.small + problem.taps - 1
    if name == "layer":  # whose image, not its data, has the size
        side, small = sizes.side // 2, sizes.small
    data = store(problem, side, sizes.chunk, folder)
    target = folder / f"{name}-image.zarr"
    options = dict(problem.options)
    if "regularizer" in options:
        options["damp"] = sizes.weight
    before = apart(in_memory, name, small, options)[0]
    arguments = name, side, sizes.chunk, data, target, sizes.memory, options
    large, peak = apart(from_files, *arguments, seconds=LIMIT)
    after = apart(in_memory, name, small, options)[0]
    reference = min(before["first"] + after["first"]) / small**2
    import zarr

    b, x = (zarr.open_array(path, mode="r") for path in (data, target))
    left = relative_normal_residual(problem.kernel, b, x, options.get("damp", 0.0))
    per_pixel = large["seconds"] / side**2
    return {
        "case": f"{name}, {side}x{side}",
        "side": side,
        "small": small,
        **large,
        "peak": peak,
        "normal residual": left,
        "ns per pixel": 1e9 * per_pixel,
        "in memory": 1e9 * reference,
        "in memory again": 1e9 * min(before["again"] + after["again"]) / small**2,
        "method in memory": before["method"],
        "ratio": per_pixel / reference,
        "disk": sum(f.stat().st_size for f in target.rglob("*") if f.is_file()),
        "data": sum(f.stat().st_size for f in data.rglob("*") if f.is_file()),
    }


def in_memory(name, side, options):
    """Seconds of solves in memory, by new operators and by one that has its set-up."""
    from convinv import solve

    problem, first, again = PROBLEMS[name], [], []
    length = side - problem.taps + 1
    b = problem.data(slice(0, length), slice(0, length))
    solve(problem.operator(side), b, **options)  # compiles what is needed
    for _ in range(ROUNDS):
        op = problem.operator(side)
        for times in (first, again):
            seconds, result = clock(lambda op=op: solve(op, b, **options))
            times.append(seconds)
    return {"first": first, "again": again, "method": result.method}


def from_files(name, side, chunk, data, target, memory, options):
    """Seconds of a solve from a store into another, and what it tells of itself."""
    import zarr

    from convinv import solve

    problem = PROBLEMS[name]
    _warm(problem, options)
    b = zarr.open_array(data, mode="r")
    out = empty(problem, side, chunk, target)
    op = problem.operator(side)

    # whether it has succeeded is looked at by the residual anyway
    options = {**options, "max_memory": memory, "out": out, "on_failure": "ignore"}
    seconds, result = clock(lambda: solve(op, b, **options))
    told = {
        key: value
        for key, value in result.extra.items()
        if isinstance(value, (int, float, str, tuple, list))
    }
    return {
        "seconds": seconds,
        "success": bool(result.success),
        "method": result.method,
        "sweeps": int(result.nit),
        "told": told,
    }


def _warm(problem, options):
    """Compile what the solve needs, on a small image whose inverse decays quickly."""
    from convinv import solve

    side = 256 + problem.taps - 1
    b = problem.data(slice(0, 256), slice(0, 256))
    options = {**options, "damp": 5.0, "rtol": 1e-3, "on_failure": "ignore"}
    result = solve(problem.operator(side), b, max_memory="4MB", **options)
    assert result.method == "tiles"


def findings(rows):
    """``(text, whether the bar is met)`` of every bar."""
    for row in rows:
        case = row["case"]
        yield (
            f"{case}: {row['peak'] / 1e9:.2f} GB of all processes at the peak "
            f"(bar {PEAK / 1e9:g})",
            row["peak"] < PEAK,
        )
        yield (
            f"{case}: relative normal residual {row['normal residual']:.1e} "
            f"(bar {RESIDUAL:g})",
            row["normal residual"] < RESIDUAL,
        )
        yield (
            f"{case}: {row['ns per pixel']:.0f} ns per pixel, {row['ratio']:.2f} "
            f"times that of {row['small']}x{row['small']} in memory (bar {RATIO})",
            row["ratio"] <= RATIO,
        )
