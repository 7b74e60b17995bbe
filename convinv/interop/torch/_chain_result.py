"""What `Inverse` tells of an x: for the chain, and for each of its stages."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..._core.result import Result, SolveResult


@dataclass(frozen=True)
class StageReport:
    """One stage of a chain that has been inverted.

    Attributes
    ----------
    path, kind : str
        Of the module.
    success : bool
        Whether the stage was inverted, for every item.
    residual : float
        ``||stage(x) - y|| / ||y||``, the largest of all items.
    error : float
        An estimate of the relative error of this stage's x, the largest of all items:
        of what rounding, and what the stages after it missed, become in its inverse.
    condition : float or None
        The condition number of a layer, about.
    message : str
        Why it is no success, or a remark.
    result : SolveResult or None
        Of a layer's solve, without x.
    """

    path: str
    kind: str
    success: bool
    residual: float
    error: float
    condition: float | None = None
    message: str = ""
    result: SolveResult | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Path and kind."""
        return f"{self.path} {self.kind}"

    def __str__(self) -> str:
        condition = (
            "" if self.condition is None else f", condition {self.condition:.2g}"
        )
        mark = "" if self.success else "FAILED, "
        text = f"{mark}residual {self.residual:.1g}, error {self.error:.1g}{condition}"
        return f"{self.name}: {text}" + (f" ({self.message})" if self.message else "")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ChainResult(Result):
    """What the latest inverse of a chain was, see `Inverse`; without x.

    Attributes
    ----------
    success : bool
        Whether the chain maps x to y within the tolerance, every stage was inverted,
        and the estimated error of x is at most 1 %, for every item.
    status : Status
    message : str
        Which stage failed, and how.
    residual : float
        ``||chain(x) - y|| / ||y||``, the largest of all items.
    error : float
        An estimate of ``||x - x*|| / ||x||`` for the x* that y was computed from, in
        the precision that it has, the largest of all items.
    stages : tuple of StageReport
        In the order of the chain.
    nit : int
        Iterations of the layers' solves together.
    history : ndarray
        Empty.
    method : str
        "Inverse".
    seconds : float
        Wall-clock time, of the inverse and of its check.
    extra : dict
        Empty.
    """

    residual: float
    error: float
    stages: tuple[StageReport, ...]

    def _measures(self) -> dict[str, str]:
        return {
            "residual": f"{self.residual:.4g} of y",
            "error": f"about {self.error:.4g} of x",
            **{stage.name: str(stage).split(": ", 1)[1] for stage in self.stages},
        }
