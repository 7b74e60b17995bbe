"""Ctrl-C ends a solve at once."""

import signal
import subprocess
import sys
import threading
import time

import pytest

LONG = """
import signal, numpy as np, convinv
signal.signal(signal.SIGINT, signal.default_int_handler)  # may be ignored by a shell
kernel = np.zeros((64, 64, 31, 31))
op = convinv.ConvLinearOperator(kernel + 1, (64, 128, 128), padding="same")
small = convinv.ConvLinearOperator(kernel[:1, :1, :3, :3] + 1, (1, 5, 5))
convinv.solve(small, np.ones(small.shape[0]))  # compiled
b = np.ones(op.shape[0])
print("ready", flush=True)
try:
    convinv.solve(op, b, maxiter=1000, rtol=0)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c():
    """One product of this takes many seconds, and must not hold Ctrl-C up."""
    child = subprocess.Popen(
        [sys.executable, "-c", LONG], stdout=subprocess.PIPE, text=True
    )
    limit = threading.Timer(60, child.kill)
    limit.start()
    try:
        assert child.stdout.readline() == "ready\n"
        time.sleep(1.5)
        start = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        waited = time.monotonic() - start
        child.wait(20)
    finally:
        limit.cancel()
        child.kill()
        child.stdout.close()
    assert waited < 3, "a second is promised, on a machine that does nothing else"
