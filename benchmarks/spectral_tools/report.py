"""The tables of norms and determinants, and the errors that are too large."""

from ..support.tables import extent, number, section

LARGEST = 1e-6  # relative error of a norm in single precision
LARGEST_DETERMINANT = 1e-8
NORMS = (
    "Relative error of `spectral_norm` (ours) and of the norm of the reshaped weight; "
    "norm left: of a layer that PyTorch has divided by that; lower, upper: `lipschitz` "
    "over the norm; the last columns are shortest times of a step of training in ms"
)
NORM_COLUMNS = (
    "layer,input,norm,error,reshaped,its error,norm left,lower,upper,"
    "plain ms,power iteration ms,ours ms,ours over power"
)
DETERMINANTS = (
    "Value and gradient by `logabsdet` and by the dense matrix with "
    "`torch.linalg.slogdet`: relative errors, shortest times in ms"
)
DETERMINANT_COLUMNS = "layer,input,error,gradient error,ours ms,dense ms,ratio"


def tables(norms, determinants):
    """Markdown of both tables and the summary."""
    parts = [section("Norms", NORMS, NORM_COLUMNS, map(shown_norm, norms))]
    rows = map(shown_determinant, determinants)
    parts.append(section("Determinants", DETERMINANTS, DETERMINANT_COLUMNS, rows))
    found = missed(norms, determinants)
    lines = [f"- **missed**: {text}" for text in found] or ["- all errors are small"]
    return "\n\n".join([*parts, "\n".join(["## Summary", "", *lines])])


def shown_norm(row):
    return (
        row["layer"],
        extent(row["input"]),
        number(row["norm"]),
        number(row["error"]),
        number(row["reshaped"]),
        number(abs(row["reshaped"] / row["norm"] - 1)),
        number(row["left"]),
        f"{row['lower']:.6f}",
        f"{row['upper']:.4f}",
        *(milliseconds(row[f"{name} s"]) for name in ("plain", "power", "ours")),
        number(row["ours s"][0] / row["power s"][0]),
    )


def shown_determinant(row):
    dense = row.get("dense s")
    return (
        row["layer"],
        extent(row["input"]),
        number(row.get("error")),
        number(row.get("gradient error")),
        milliseconds(row["ours s"]),
        "-" if dense is None else milliseconds(dense),
        "-" if dense is None else number(row["ours s"][0] / dense[0]),
    )


def milliseconds(seconds):
    return number(1e3 * seconds[0])


def missed(norms, determinants):
    """What is not as exact as it should be, as text."""
    found = []
    for row in norms:
        if row["error"] > LARGEST or not row["lower"] - LARGEST <= 1 <= row["upper"]:
            found.append(f"the norm of {row['layer']}")
    for row in determinants:
        errors = (row.get(name, 0) for name in ("error", "gradient error"))
        if max(errors) > LARGEST_DETERMINANT:
            found.append(f"the determinant of {row['layer']}")
    return found
