"""``convinv deblur`` on arrays that are larger than memory, from file to file."""

from __future__ import annotations

import argparse
import errno
import hashlib
import logging
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from .._core.byte_counts import parse_bytes
from .._files import Store, file_of, open_store
from .._out_of_core import Frames, Job, Outcome, Runner, in_turn, solve_in_files
from ._errors import UsageError
from ._output import Output, times
from ._progress import TileProgress
from ._psf import named_psf, read_psf
from ._samples import as_stored

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Options of pictures that are not there for files read by regions, and why.
IN_MEMORY = {"tv": "--tv", "poisson": "--poisson", "bounds": "--bounds"}


def _refuse_nonsense(args: argparse.Namespace) -> None:
    """Raise for options that do not go together."""
    for name, option in IN_MEMORY.items():
        if getattr(args, name) not in (None, False):
            raise UsageError(
                f"{option} is for pictures in memory, not for files read by regions"
            )


def deblur(args: argparse.Namespace, output: Output) -> str | None:
    """Deblur from file to file; the message if the result misses the tolerance."""
    _refuse_nonsense(args)
    psf = named_psf(args.psf)
    psf = read_psf(args.psf) if psf is None else psf
    with open_store(args.input) as source, _runner(args.scheduler) as running:
        runner, at_once = running
        job = _job(args, source, psf, at_once, output)
        with TileProgress(output) as progress:
            start = time.perf_counter()
            outcome = _solved(job, runner, args, progress)
            seconds = time.perf_counter() - start
        _tell(outcome, job, args, output, seconds)
    if outcome.success:
        return None
    return (
        f"the tiles ended before the result satisfied the tolerance {job.rtol:.2g}, at "
        f"a normal residual of {outcome.residual:.2g}: give a larger --strength or "
        "larger tiles (--max-memory, --chunks)"
    )


def _job(
    args: argparse.Namespace,
    source: Store,
    psf: np.ndarray,
    at_once: int,
    output: Output,
) -> Job:
    from ..imaging._in_files import FileProblem
    from ..imaging._smoothness import tolerance

    channel = getattr(args, "channel_axis", source.channel_axis)
    output.fact("picture", f"{args.input}, {times(source.shape)}, {source.dtype}")
    output.fact("psf", f"{args.psf}, {times(psf.shape)} pixels")
    given = None if args.strength in (None, "auto") else args.strength
    problem = FileProblem(source, psf, channel, args.boundary, given, args.noise)
    strength, frames = problem.strength, problem.frames
    chunks = _chunks(args.chunks, frames)
    output.facts |= {"strength": strength, "noise": problem.noise}
    word = "automatic" if given is None else "given"
    output.fact("strength", f"{strength:.3g} ({word})")
    memory = args.max_memory
    return Job(
        problem.op,
        frames,
        problem.frame,
        args.output,
        as_stored,
        {
            "stamp": _stamp(file_of(args.input)),
            "psf": hashlib.sha256(psf.tobytes()).hexdigest()[:16],
            "psf shape": list(psf.shape),
            "channel axis": channel,
            "boundary": args.boundary,
            "strength": strength,
            "version": __version__,
        },
        rtol=tolerance(strength),
        tile=chunks,
        chunks=chunks,
        memory=None if memory is None else parse_bytes(memory, "--max-memory"),
        at_once=at_once,
    )


def _chunks(given: Any, frames: Frames) -> tuple[int, ...] | None:
    """``--chunks`` for each spatial axis."""
    if given is None:
        return None
    found = (given,) * frames.axes if isinstance(given, int) else tuple(given)
    if len(found) != frames.axes:
        raise UsageError(
            f"--chunks must be one number or {frames.axes}, one for each axis of the "
            f"psf, got {','.join(map(str, found))}"
        )
    return found


def _runner(scheduler: str | None) -> AbstractContextManager[tuple[Runner, int]]:
    """What runs the tiles, and how many at a time."""
    if scheduler is None:
        return nullcontext((in_turn, 1))
    from ..distributed._runner import tile_runner

    return tile_runner(scheduler)


def _stamp(path: Path) -> list[int]:
    """Files, bytes and the time of the last change: what tells that an input changed.

    The name of an input does not tell it, and reading all of it takes too long.
    """
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    stats = [file.stat() for file in files]
    newest = max((stat.st_mtime_ns for stat in stats), default=0)
    return [len(stats), sum(stat.st_size for stat in stats), newest]


def _solved(
    job: Job, runner: Runner, args: argparse.Namespace, progress: TileProgress
) -> Outcome:
    """The outcome of the job; an error or an interrupt says what is left."""
    left = f"{file_of(args.output)}.partial"
    again = f"what is done is in {left}; the same command goes on from there"
    try:
        return solve_in_files(
            job,
            force=args.force,
            restart=args.restart,
            runner=runner,
            progress=progress.tile,
            started=progress.started,
        )
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise OSError(f"no space left for {args.output!r} ({error}): {again}") from None
    except (KeyboardInterrupt, SystemExit):
        # zarr's threads wait for what this thread does no more, and asyncio tells of it
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        if Path(left).exists():
            print(f"convinv: interrupted; {again}", file=sys.stderr)
        raise


def _tell(
    outcome: Outcome,
    job: Job,
    args: argparse.Namespace,
    output: Output,
    seconds: float,
) -> None:
    output.fact(
        "quality",
        f"normal residual {outcome.residual:.2g}; {outcome.sweeps} sweeps, "
        f"{seconds:.3g} s",
    )
    if outcome.clipped:
        output.fact("clipped", f"{100 * outcome.clipped:.2g} % of the samples")
    output.fact("written", args.output)
    output.facts |= {
        "input": args.input,
        "output": args.output,
        "shape": job.frames.store.shape,
        "dtype": str(job.frames.store.dtype),
        "psf": args.psf,
        "method": "tiles",
        "iterations": outcome.sweeps,
        "success": outcome.success,
        "relative_normal_residual": outcome.residual,
        "clipped": outcome.clipped,
        "seconds": seconds,
    }
