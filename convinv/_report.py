"""A report on a layer: whether it is invertible, and its gain of noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._core.arrays import to_numpy
from ._core.plotting import axes
from ._core.typing import OperatorInput, Seed
from ._solve.auto import choose
from .spectra import Spectrum, spectrum

NOISE = (0.01, 0.1)  # relative levels for which the report proposes a damp
WORST = 4  # frequencies that are shown


@dataclass(frozen=True, repr=False, eq=False)
class LayerReport:
    """The result of `layer_report`; ``print`` it.

    Attributes
    ----------
    operator : str
        The layer in words.
    spectrum : Spectrum
        Its singular values.
    verdict : str
        Whether the layer can be inverted.
    worst : list of (tuple of float, float)
        The frequencies in cycles per sample whose smallest singular values are least,
        and these values; for a real kernel, one of each conjugate pair. With a stride,
        a frequency represents all that are aliased to it.
    damping : dict
        The suitable damp for each relative noise level.
    methods : list
        The ways that ``method="auto"`` tries for one image without damping, in order,
        each with its ``name`` and ``reason``.
    """

    operator: str
    spectrum: Spectrum
    verdict: str
    worst: list[tuple[tuple[float, ...], float]]
    damping: dict[float, float]
    methods: list[Any]

    def __str__(self) -> str:
        found = self.spectrum
        m, n = found.shape
        whose = "" if found.periodic else " of the torus approximation"
        lines = [
            self.operator,
            f"  data and unknowns: {m} and {n} ({m / n:.3g} per unknown)",
            f"  {self.verdict}",
            *repr(found).split("\n")[1:],
            f"  least singular values{whose}, at cycles per sample:",
        ]
        for place, value in self.worst:
            lines.append(f"    {_place(place):<24} {value:.4g}")
        for level, damp in self.damping.items():
            use = "" if _matters(damp, found) else " (changes little)"
            lines.append(f"  damp for {level:.0%} noise: {damp:.3g}{use}")
        first = self.methods[0]
        lines.append(f"  auto takes {first.name}: {first.reason}")
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self, ax: Any = None) -> Any:
        """Draw the spectrum with matplotlib, its `worst` frequencies marked.

        What is drawn depends on the number of axes, as in `Spectrum.plot`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        ax = self.spectrum.plot(axes("LayerReport.plot", ax))
        shown = len(self.spectrum.frequencies)
        if shown <= 2:  # three axes have no place in a picture
            floor = self.spectrum.tolerance
            for place, value in self.worst:
                point = (place[0], max(value, floor)) if shown == 1 else place[::-1]
                ax.plot(*point, "o", fillstyle="none", color="tab:red", clip_on=False)
        ax.set_title(self.verdict, fontsize="medium", wrap=True)
        return ax


def layer_report(op: OperatorInput, *, rng: Seed = None) -> LayerReport:
    """Report whether a layer is invertible, where not, and how it amplifies noise.

    Parameters
    ----------
    op : ConvLinearOperator
        The layer, or the adjoint of one, of either library.
    rng : None, int or numpy.random.Generator
        For layers that are neither periodic nor small, the source of the start vector
        of the bounds.

    Returns
    -------
    LayerReport
        Printing it gives the report.

    Raises
    ------
    TypeError
        If `op` is no ConvLinearOperator.

    Notes
    -----
    The damping is the one that makes Tikhonov's solution the linear estimate of least
    mean square error for white noise and white unknowns, their standard deviations'
    ratio (Bertero and Boccacci, Introduction to Inverse Problems in Imaging, 1998,
    section 5.3; Hansen, Discrete Inverse Problems, 2010, section 4.4). With noise of
    ``level`` times the norm of the data it is ``damp = level * ||A||_F / sqrt(m)``,
    since unknowns of unit variance give data of mean square ``||A||_F^2 / m``. The
    report prints ``level * ||kernel||_F / sqrt(C_out)``, its value away from the
    border. Photographs are far from white, so treat it as an order of magnitude.

    The cost is that of `convinv.spectra.spectrum`.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, layer_report
    >>> kernel = np.array([[[0.25, 0.5, 0.25]]])
    >>> op = ConvLinearOperator(kernel, (1, 8), padding="same", boundary="periodic")
    >>> print(layer_report(op))
    <ConvLinearOperator (1, 8) -> (1, 8), kernel (1, 1, 3), padding=1, ...>
      data and unknowns: 8 and 8 (1 per unknown)
      rank-deficient: 1 of 8 unknowns can't be determined
      rank:            7 of 8, nullity 1
      largest:         1
      smallest:        0
      not zero:        0.1464
      condition:       inf
      noise gain:      6.828
      noise gain by channel: 3.62
      least singular values, at cycles per sample:
        -0.5                     0
        0.375                    0.1464
        0.25                     0.5
        0.125                    0.8536
      damp for 1% noise: 0.00612
      damp for 10% noise: 0.0612
      auto takes spectral: the layer is periodic: one small matrix per frequency ...
    """
    found = spectrum(op, rng=rng)
    kernel = to_numpy(op.kernel).astype(complex)
    per_sample = float(np.linalg.norm(kernel)) / math.sqrt(op.output_shape[0])
    return LayerReport(
        operator=repr(op),
        spectrum=found,
        verdict=_verdict(found),
        worst=_worst(found, np.isrealobj(op.kernel)),
        damping={level: level * per_sample for level in NOISE},
        methods=list(choose(op)),
    )


def _verdict(found: Spectrum) -> str:
    m, n = found.shape
    if found.rank is None:
        least = found.smallest
        if m < n:
            return f"at least {n - m} of {n} unknowns can't be determined"
        if least.value <= found.tolerance:
            return "rank-deficient to working precision"
        if least.error >= least.value:
            return "may be rank-deficient: the bound does not exclude it"
        return "no sign of a null space"
    if found.rank == n:
        return "invertible: full column rank"
    missing = f"{n - found.rank} of {n} unknowns can't be determined"
    if found.rank == m:
        return f"full row rank: {missing}"
    return f"rank-deficient: {missing}"


def _worst(found: Spectrum, real: bool) -> list[tuple[tuple[float, ...], float]]:
    """The frequencies of the smallest singular values."""
    least = found.values.min(axis=(0, -1))
    least = np.where(least > found.tolerance, least, 0.0)
    chosen: list = []
    seen = set()
    for flat in np.argsort(least, axis=None, kind="stable"):
        index = np.unravel_index(flat, least.shape)
        conjugate = tuple(int(-i % n) for i, n in zip(index, least.shape))
        if not real or conjugate not in seen:
            seen.add(tuple(map(int, index)))
            place = tuple(float(f[i]) for f, i in zip(found.frequencies, index))
            chosen.append((place, float(least[index])))
        if len(chosen) == WORST:
            break
    return chosen


def _matters(damp: float, found: Spectrum) -> bool:
    """Whether damping shrinks some component by more than a tenth."""
    least = float(found.smallest)
    return damp**2 > 0.1 * least**2


def _place(place: tuple[float, ...]) -> str:
    return ", ".join(f"{f:.4g}" for f in place)
