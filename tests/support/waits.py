"""How often the host waited for a device."""

from . import drygpu


def counted(cupy):
    """Whether somebody counts: the stand-in for CuPy, or the fake GPU."""
    return hasattr(cupy, "SYNCS") or drygpu.installed()


def waits(cupy):
    """The waits up to now; 0 where nobody counts them."""
    if hasattr(cupy, "SYNCS"):
        return cupy.SYNCS
    return drygpu.now().waits if drygpu.installed() else 0
