"""Few iterations, and callbacks."""

import numpy as np

from .._registry import SOLVER_CHECKS, expect


@SOLVER_CHECKS.check("maxiter=1")
def one_iteration(subject):
    """With one iteration x is finite, and success is claimed where it is one."""
    subject.asked("maxiter")
    system = subject.system()
    answer = subject.run(system.op, system.b, maxiter=1)
    expect(np.isfinite(answer.x).all(), "x is not finite")
    residual = system.residual(answer.x, system.b)
    words = f"||b - A x|| is {residual:.2g} ||b||"
    false = residual > 100 * subject.rtol and answer.claims
    expect(not false, f"{words}, and it claims success")
    return words


@SOLVER_CHECKS.check("callback")
def callback(subject):
    """It is called, and does not change the result."""
    subject.asked("callback")
    system, calls = subject.system(), []
    plain = subject.run(system.op, system.b).x
    heard = subject.run(system.op, system.b, callback=lambda *a: calls.append(a)).x
    expect(calls, "it was never called")
    far = np.linalg.norm(plain - heard) / np.linalg.norm(plain)
    expect(far <= 100 * subject.rtol, f"with it x differs by {far:.2g}")
    return f"{len(calls)} calls"
