"""Whether single precision is kept."""

from .._registry import SOLVER_CHECKS, expect


@SOLVER_CHECKS.check("dtype")
def dtype(subject):
    """x of single-precision data is of single precision, and right to that."""
    details = []
    for kind in ("float32", "complex64"):
        system = subject.system(kind)
        x = subject.run(system.op, system.b, **_loose(subject)).x
        residual = system.residual(x, system.b)
        expect(residual <= 1e-3, f"{kind}: ||b - A x|| is {residual:.2g} ||b||")
        expect(x.dtype == kind, f"x of {kind} data is {x.dtype}")
        details.append(f"{kind}: {residual:.1g}")
    return "residuals " + ", ".join(details)


def _loose(subject):
    """A tolerance that single precision can reach."""
    return {"rtol": max(subject.rtol, 1e-4)} if subject.takes("rtol") else {}
