"""Whether it leaves b and x0 alone."""

import numpy as np

from .._registry import SOLVER_CHECKS, expect


@SOLVER_CHECKS.check("input unchanged")
def unchanged(subject):
    """b and x0 keep their values, and x is memory of its own."""
    system = subject.system()
    given = {"x0": np.ones(system.op.shape[1])} if subject.takes("x0") else {}
    b, before = system.b.copy(), {k: v.copy() for k, v in given.items()}
    x = subject.run(system.op, b, **given).x
    expect(np.array_equal(b, system.b), "b has changed")
    expect(not np.shares_memory(x, b), "x shares memory with b")
    for name, array in given.items():
        expect(np.array_equal(array, before[name]), f"{name} has changed")
        expect(not np.shares_memory(x, array), f"x shares memory with {name}")
    return ""
