"""The head of a table: the command, the machine and the versions behind the figures."""

import datetime
import importlib.metadata
import os
import pathlib
import platform
import sys

PACKAGES = ("convinv", "numpy", "scipy", "numba")


def heading(title, command, *notes, threads="", packages=PACKAGES):
    """Markdown lines of what was measured where, and by which command.

    `threads` says in words how many of them there were, where that was set.
    """
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    load = f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"
    hardware = [processor(), f"{os.cpu_count()} cores", *[threads] * bool(threads)]
    lines = [
        f"# {title}",
        "",
        f"- command: `{command}`",
        f"- processor: {', '.join(hardware)}; load average {load} on "
        f"{datetime.date.today()}",
        f"- {system()}, {versions}",
        *(f"- {note}" for note in notes),
    ]
    return "\n".join(lines)


def command(module):
    """The command that runs at present, which is that of a module in `benchmarks`."""
    return " ".join([f"python -m benchmarks.{module}", *sys.argv[1:]])


def processor():
    info = pathlib.Path("/proc/cpuinfo")
    names = [
        line.split(":", 1)[1].strip()
        for line in (info.read_text() if info.exists() else "").splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor() or "unknown"


def system():
    """The operating system, and the version of Python."""
    return (
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        module = sys.modules.get(package)
        return getattr(module, "__version__", "missing")
