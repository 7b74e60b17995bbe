"""The methods of the paper's tables, by its names, as `convinv.solve` has them.

An iteration of STRIP and GS is a sweep, of the others a step. The paper ran GBK, FDBK,
ADBK and RSHEK too, and prints RSHK alone, which it found the best of them.
"""

METHODS = {
    "STRIP": "strip",
    "CG": "cgls",
    "GS": "gauss-seidel",
    "GD": "gradient",
    "LSQR": "lsqr",
    "LSMR": "lsmr",
    "RSHK": "rshk",
    "RSHEK": "rshek",
    "GBK": "gbk",
    "FDBK": "fdbk",
    "ADBK": "adbk",
}
MATRIX = ("CG", "GS", "GD", "LSQR", "LSMR", "RSHK")  # the paper builds it for


def options(name, rate):
    """Keywords of `solve`; `rate` is Adam's."""
    return {"step": "adam", "step_size": rate} if name == "GD" else {}
