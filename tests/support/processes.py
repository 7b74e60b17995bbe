"""Code that runs in a Python of its own."""

import os
import subprocess
import sys

from .paths import PACKAGE, ROOT

# as PYTHONPATH: `support` and the package
FOLDERS = os.pathsep.join([str(ROOT / "tests"), str(PACKAGE.parent)])


def run(code, **environment):
    """Run a script; an environment variable that is None is taken out."""
    env = {**os.environ, **environment}
    env = {key: value for key, value in env.items() if value is not None}
    command = [sys.executable, "-P", "-c", code]  # -P: not from the working directory
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
