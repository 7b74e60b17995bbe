"""How many threads libraries use, while something is measured."""

import contextlib
import os
import sys

VARIABLES = (
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)


def restart_with(count, module):
    """Start a command again with `count` threads for every library, unless it has.

    It is that of a module in `benchmarks`, as in `machine.command`.
    """
    wanted = dict.fromkeys(VARIABLES, str(count))
    if wanted.items() <= os.environ.items():
        return
    os.environ.update(wanted)
    os.execv(
        sys.executable, [sys.executable, "-m", f"benchmarks.{module}", *sys.argv[1:]]
    )


@contextlib.contextmanager
def inherited(count):
    """Processes that are started in it get `count` threads for every library.

    None leaves what the environment says.
    """
    before = {name: os.environ.get(name) for name in VARIABLES}
    if count is not None:
        os.environ.update(dict.fromkeys(VARIABLES, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextlib.contextmanager
def one_torch_thread():
    """More of them wait for each other at every layer, for long on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
