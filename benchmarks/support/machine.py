"""The head of a table: the command, the machine and the versions behind the figures."""

import datetime
import os
import platform
import sys

from ..kernel_table.__main__ import PACKAGES, processor, version


def headed(title, module, *notes):
    """Markdown lines of what was measured where, and by which command."""
    packages = [f"{name} {version(name)}" for name in PACKAGES if name != "torch"]
    command = " ".join([f"python -m benchmarks.{module}", *sys.argv[1:]])
    load = f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"
    lines = [
        f"# {title}",
        "",
        f"- command: `{command}`",
        f"- processor: {processor()}, {os.cpu_count()} cores; load average {load} on "
        f"{datetime.date.today()}",
        f"- {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}, {', '.join(packages)}",
        *(f"- {note}" for note in notes),
    ]
    return "\n".join(lines)
