"""Check installs of the package into this environment, used from another folder.

A wheel and an editable install replace each other in both orders, each is used, with
kernels compiled, and what is uninstalled leaves nothing behind. The editable install is
what remains at the end.
"""

import pathlib
import subprocess
import sys
import sysconfig
import tempfile

ROOT = pathlib.Path(__file__).parents[1]
SITE = pathlib.Path(sysconfig.get_path("purelib"))
SCRIPT = pathlib.Path(sysconfig.get_path("scripts")) / "convinv"
USE = (
    "import convinv, numpy as np; "
    "op = convinv.ConvLinearOperator(np.ones((1, 1, 3, 3)), (1, 8, 8)); "
    "op.forward(np.ones((1, 8, 8))); print(convinv.__file__)"
)


def pip(*arguments):
    command = [sys.executable, "-m", "pip", *arguments, "-q"]
    subprocess.run(command, check=True, cwd=ROOT)


def output(*command):
    """What a command prints in a folder that has nothing to do with the package."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True
        )
    return done.stdout.strip()


def install(editable):
    # dependencies are there, and must not be changed by this check
    pip("install", "--no-deps", "--force-reinstall", *["-e"] * editable, ".")
    where = pathlib.Path(output(sys.executable, "-c", USE)).parents[1]
    assert where == (ROOT if editable else SITE), where
    assert output(SCRIPT, "--version").startswith("convinv ")
    assert "cgls" in output(SCRIPT, "methods")


def uninstall():
    pip("uninstall", "-y", "convinv")
    left = [path for path in SITE.iterdir() if "convinv" in path.name]
    assert not left, f"left behind: {left}"


for editable in (False, True, False):
    install(editable)
uninstall()
install(True)
print("installs replace each other, and leave nothing behind")
