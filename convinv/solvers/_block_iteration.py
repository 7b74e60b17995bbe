"""Sweeps of block Kaczmarz until they have solved the problem."""

from .._core.arrays import copy


def iterate(problem, monitor, sweeps, ended):
    """Sweep until the monitor stops it; returns x.

    ``sweeps.load(b)`` takes a right-hand side, which damped sweeps overwrite, and
    ``sweeps(x)`` makes a sweep from x, which may be overwritten. ``ended(x, change,
    residual, normal)`` ends items of the monitor for other reasons after each sweep;
    `change` is that of x, the others norms.
    """
    xp = problem.xp
    x, b = _start(problem)
    sweeps.load(b)
    stop = not monitor.any_active()
    while not stop:
        new = sweeps(copy(x))
        change = new - x
        x = xp.where(monitor.active[:, None], new, x)
        d = _from_origin(problem, x)
        _, residual, normal = residuals(problem, d)
        stop = monitor.update(d, residual, normal)
        ended(new, change, residual, normal)
        if monitor.check_every == 1:  # else update looks, later
            stop = stop or not monitor.any_active()
    return _from_origin(problem, x)


def residuals(problem, d):
    """The residual at d, its norm and that of the normal residual."""
    xp = problem.xp
    r, squared = problem.vectors.axpy(
        problem.fill(-1.0), problem.forward(d), copy(problem.b)
    )
    _, normal = problem.normal_residual(r, d)
    return r, xp.sqrt(squared), xp.sqrt(normal)


def _start(problem):
    """x = 0, and the right-hand side that belongs to it.

    Damped sweeps have to start there: the starting point would enter the result.
    """
    b = copy(problem.b)
    if problem.damp and problem.origin is not None:
        b, _ = problem.vectors.axpy(
            problem.fill(1.0), problem.forward(problem.origin), b
        )
    return problem.zeros(problem.shape[1]), b


def _from_origin(problem, x):
    return x - problem.origin if problem.damp and problem.origin is not None else x
