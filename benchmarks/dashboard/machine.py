"""What results say of the machine: cores, processor and memory, but no one's names."""

import json
import os
import platform

from ..support.machine import processor
from .defaults import RESULTS


def generic_name():
    """A name for the machine at hand that says nothing of whose it is."""
    return f"{os.cpu_count()}-core-{platform.machine()}"


def description(name, results=RESULTS):
    """The fields of asv's description, those of earlier results where there are any.

    asv would fill in the host's name and the build of its kernel.
    """
    known = results / name / "machine.json"
    if known.is_file():
        fields = json.loads(known.read_text())
        return {key: text for key, text in fields.items() if key != "version"}
    return {
        "machine": name,
        "os": platform.system(),
        "arch": platform.machine(),
        "cpu": processor(),
        "num_cpu": str(os.cpu_count()),
        "ram": f"{memory():.0f} GB",
    }


def memory():
    """Gigabytes."""
    from asv.util import get_memsize

    return get_memsize() / 1e9


def register(name):
    """Tell asv of the machine, in the file that it keeps in the user's home."""
    from asv.machine import MachineCollection

    MachineCollection.save(name, description(name))
