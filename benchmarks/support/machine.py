"""The head of a table: the command, the machine and the versions behind the figures."""

import datetime
import importlib.metadata
import os
import platform
import sys

import cpuinfo

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
    """What the processor calls itself."""
    return cpuinfo.get_cpu_info().get("brand_raw") or "unknown"


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
