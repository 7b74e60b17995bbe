"""The inputs of trained first layers from their outputs, in both precisions."""

import math
import warnings

import numpy as np
import torch

from convinv.interop.torch import ConvInverse, spectrum

from ..support.measure import clock
from ..support.outcome import Claim, Outcome, Table
from ..support.quality import psnr
from .wheels import TRAINED

SIZE, SMALL = 128, 32  # pixels of the photograph
BAR, NEVER = 110.0, 40.0  # dB, of those whose condition allows it, and of any success
DTYPES = (torch.float32, torch.float64)


def run(quick, folders=None):
    """A row for every layer and precision."""
    folder = (folders or {}).get("wheels")
    if folder is None:
        return Outcome([], [], ["Left out without --wheels FOLDER."], {})
    rows, notes = [], []
    for trained in TRAINED:
        try:
            layer = trained.layer(folder)
        except (FileNotFoundError, ModuleNotFoundError) as error:
            notes.append(f"{trained.name}: left out, {error}.")
            continue
        x = trained.input(layer, SMALL if quick else SIZE)
        found = [measured(trained.name, layer, x, dtype) for dtype in DTYPES]
        rows += [{**row, "limit": limit(layer, x, row)} for row in found]
    return Outcome([table(rows)], claims(rows), notes, {})


def measured(name, layer, x, dtype):
    """What `ConvInverse` finds of x."""
    layer, x = layer.to(dtype), x.to(dtype)
    inverse = ConvInverse(layer, tuple(x.shape), on_failure="ignore")
    with torch.no_grad():
        y = layer(x)
        seconds, found = clock(lambda: inverse(y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a spectrum that has only bounds
        condition = float(spectrum(layer.double(), tuple(x.shape), rng=0).condition)
    last = inverse.last
    exact = x.double()
    error = float((found.double() - exact).norm() / exact.norm())
    return {
        "layer": name,
        "weight": "x".join(map(str, layer.weight.shape)),
        "stride": max(layer.stride),
        "dtype": str(dtype).removeprefix("torch."),
        "psnr": psnr(found.double(), exact),
        "success": bool(np.all(last.success)),
        "error": error,
        "bound": bound(last.error_bound),
        "condition": condition,
        "tall": y.numel() >= x.numel(),
        "method": last.method,
        "seconds": seconds,
    }


def limit(layer, x, row):
    """dB of the float64 inverse of an output that was rounded to the row's dtype."""
    dtype = getattr(torch, row["dtype"])
    with torch.no_grad():
        y = layer.double()(x.double()).to(dtype).double()
        inverse = ConvInverse(layer, tuple(x.shape), on_failure="ignore", rtol=1e-13)
        return psnr(inverse(y), x.double())


def bound(value):
    return None if value is None else float(np.max(value))


def table(rows):
    cells = [
        [
            row["layer"],
            row["weight"],
            row["stride"],
            row["dtype"],
            f"{row['condition']:.3g}",
            f"{row['psnr']:.1f}",
            f"{row['limit']:.1f}",
            "yes" if row["success"] else "no",
            f"{row['error']:.1e}",
            "-" if row["bound"] is None else f"{row['bound']:.1e}",
            row["method"],
            row["seconds"],
        ]
        for row in rows
    ]
    text = (
        f"A photograph of {SIZE}x{SIZE} pixels, or a sound of {16 * SIZE} samples, "
        "through the layer and back by ConvInverse with its defaults; condition: in "
        "float64; limit: of the inverse in float64 of an output that is rounded to the "
        "dtype; error, and its bound that .last has: relative"
    )
    head = (
        "layer,weight,stride,dtype,condition,dB,limit dB,success,error,error_bound,"
        "method,seconds of the first call"
    )
    return Table("Trained layers", text, head, cells)


def claims(rows):
    if not rows:
        return []
    able = [row for row in rows if row["tall"] and row["limit"] >= BAR]
    least = min((row["psnr"] for row in able), default=math.inf)
    told = [row for row in rows if row["success"] and row["tall"]]
    worst = min((row["psnr"] for row in told), default=math.inf)
    return [
        Claim(
            f"at least {BAR:g} dB in the {len(able)} rows where rounding of y allows "
            "it",
            f"{least:.1f} dB",
            least >= BAR,
        ),
        Claim(
            f"no success below {NEVER:g} dB where y determines x",
            f"{worst:.1f} dB",
            worst >= NEVER,
        ),
    ]
