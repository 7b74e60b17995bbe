"""The x of tiles beside that of a solve in memory: boundaries, chunks, precisions."""

import itertools

import numpy as np

from convinv import ConvLinearOperator, gallery, solve

BARS = {"float32": 1e-6, "float64": 1e-10}
BOUNDARIES = ("valid", "zero", "periodic", "reflect", "symmetric", "replicate")
SIDE = 96
CHUNKS = ((48, 48), (40, 25), (11, 16))  # the tiles; the last are smaller than the halo
HALO = 24
RTOL = {"float32": 3e-7, "float64": 1e-11}
LAYERS = {"layer": (3, 8, 3, 0.0), "blur": (1, 1, 5, 0.3)}  # c_in, c_out, taps, damp


def measure(names=LAYERS, boundaries=BOUNDARIES, chunks=CHUNKS):
    """Rows: the largest relative difference of x, and whether tiles claimed success."""
    import dask.array as da

    for name, boundary, dtype in itertools.product(names, boundaries, BARS):
        op, options = problem(name, boundary, dtype)
        rng = np.random.default_rng(1)
        x = rng.standard_normal(op.input_shape)
        b = op.forward(x.astype(dtype))
        b += (0.01 * rng.standard_normal(b.shape)).astype(dtype)
        exact = reference(name, boundary, b, options)
        for cut in chunks:
            pieces = da.from_array(b, chunks=(-1, *cut))
            how = {"tile": cut, "halo": HALO, "rtol": RTOL[dtype]}
            result = _distributed(op, pieces, **how, **options)
            found = np.asarray(result.x)
            yield {
                "case": f"{name}, {boundary}, chunks {cut[0]}x{cut[1]}, {dtype}",
                "dtype": dtype,
                "difference": float(
                    np.linalg.norm(found - exact) / np.linalg.norm(exact)
                ),
                "success": bool(result.success),
                "method": result.method,
                "sweeps": int(result.nit),
            }


def problem(name, boundary, dtype):
    """The operator, and the options of `solve`."""
    c_in, c_out, taps, damp = LAYERS[name]
    kernel = gallery.gaussian_kernel(taps, 1.0)[None, None]
    if c_out > 1:
        kernel = gallery.conv_layer(c_in, c_out, taps, rng=0)
    how = {"padding": "same", "boundary": boundary}
    if boundary == "valid":
        how = {}
    op = ConvLinearOperator(kernel.astype(dtype), (c_in, SIDE, SIDE), **how)
    options = {"damp": damp, "regularizer": "gradient"} if damp else {}
    return op, options


def reference(name, boundary, b, options):
    """The solution in memory and in double precision, with the very same weights."""
    op, _ = problem(name, boundary, b.dtype)
    wide = ConvLinearOperator(op.kernel.astype(float), op.input_shape, **{**op.options})
    return solve(wide, b.astype(float), rtol=1e-13, on_failure="ignore", **options).x


def _distributed(op, pieces, **options):
    from convinv import distributed

    return distributed.solve(op, pieces, on_failure="ignore", **options)


def findings(rows):
    """``(text, whether the bar is met)`` for each precision."""
    for dtype, bar in BARS.items():
        found = [row for row in rows if row["dtype"] == dtype]
        if not found:
            continue
        worst = max(found, key=lambda row: row["difference"])
        yield (
            f"the same x, {dtype}: at most {worst['difference']:.1e} apart in "
            f"{len(found)} cases (bar {bar:g}), {worst['case']}",
            worst["difference"] <= bar,
        )
