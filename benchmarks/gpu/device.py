"""The device: whether there is one, and what it is."""

import os
import subprocess

from ..support.devices import missing
from ..support.machine import system, version

PACKAGES = ("convinv", "cupy", "numpy", "scipy", "torch")
CLOCKS = ("clocks.sm", "clocks.mem", "clocks.max.sm", "clocks.max.mem")
QUERIED = ("driver_version", *CLOCKS, "power.limit", "temperature.gpu")
# Single precision is to be single precision, in every library, for its whole life.
EXACT = {"NVIDIA_TF32_OVERRIDE": "0", "CUPY_TF32": "0"}


def find():
    """``(cupy, None)``, or None and why no device can be used."""
    os.environ.update(EXACT)
    reason = missing("cupy")
    if reason:
        return None, reason
    import cupy

    return cupy, None


def describe(xp):
    """What was found, as JSON holds it; the same in two runs on one machine."""
    runtime, here = xp.cuda.runtime, xp.cuda.Device()
    found = runtime.getDeviceProperties(here.id)
    name = found["name"]
    return {
        "device": name.decode() if isinstance(name, bytes) else name,
        "compute capability": f"{int(here.compute_capability) / 10:.1f}",
        "multiprocessors": int(found["multiProcessorCount"]),
        "memory": f"{found['totalGlobalMem'] / 2**30:.0f} GiB",
        "L2": f"{found['l2CacheSize'] / 2**20:.0f} MiB",
        "CUDA of the driver": cuda_version(runtime.driverGetVersion()),
        "CUDA runtime": cuda_version(runtime.runtimeGetVersion()),
        "system": system(),
        **{name: version(name) for name in PACKAGES},
    }


def cuda_version(number):
    """13000 as 13.0."""
    return f"{number // 1000}.{number % 1000 // 10}"


def bus(xp):
    """The name by which nvidia-smi knows the device, whatever CUDA's number is."""
    found = xp.cuda.runtime.deviceGetPCIBusId(xp.cuda.Device().id)
    return found.decode() if isinstance(found, bytes) else found


def state(bus):
    """The driver's version, clocks and temperature at this moment, in words."""
    query = ["nvidia-smi", f"--query-gpu={','.join(QUERIED)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            [*query, f"--id={bus}"], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown, nvidia-smi: {error}"
    values = done.stdout.strip().split(", ")
    if done.returncode or len(values) != len(QUERIED):
        return f"unknown, nvidia-smi: {(done.stdout + done.stderr).strip()}"
    return ", ".join(f"{k} {v}" for k, v in zip(QUERIED, values))
