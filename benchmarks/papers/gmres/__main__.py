"""The experiments of a document on GMRES for deconvolution, with its figures beside.

Run from the repository's root::

    python -m benchmarks.papers.gmres

Every experiment writes a Markdown file and its figures (PNG) to
benchmarks/results/papers/gmres, and results.md lists what is there. ``--only`` chooses
experiments and leaves the files of the others; plain, which takes minutes, runs only
so. ``--quick`` takes small sizes, for a check that takes seconds, and writes nothing
unless ``--output`` is given. Nothing else should run meanwhile: the load average in the
headings tells. The exit status is 1 if a claim fails that does not depend on times.
"""

import argparse
import pathlib
import sys

from threadpoolctl import threadpool_limits

from .. import report
from . import cycle, gaussian, matrices, motion, rivals, spectra

MODULE = "python -m benchmarks.papers.gmres"
OUTPUT = pathlib.Path(__file__).parents[2] / "results" / "papers" / "gmres"
EXPERIMENTS = {
    "gaussian": ("Gaussian deblurring with restarts", gaussian.run),
    "spectra": ("Condition numbers and eigenvalues", spectra.run),
    "motion": ("Motion deblurring", motion.run),
    "plain": ("Plain GMRES for motion, as long as in the document", motion.run_plain),
    "cycle": ("The time of a cycle", cycle.run),
    "matrices": ("Sparse and near-singular matrices", matrices.run),
    "rivals": ("LSMR and auto on the same problems", rivals.run),
}
LONG = ("plain",)  # run if asked for


def main(argv=None):
    args = parse(argv)
    failed = []
    for name in args.only:
        title, run = EXPERIMENTS[name]
        command = " ".join([MODULE, *["--quick"] * args.quick, "--only", name])
        head = report.heading(title, command, args.threads)  # with the load before
        with threadpool_limits(args.threads, user_api="blas"):
            outcome = run(args.quick)
        text = f"{head}\n\n{report.text_of(outcome)}\n"
        print(text, flush=True)
        if args.output:
            write(args.output, name, text, outcome.figures)
        failed += [f"{name}: {claim.text}" for claim in outcome.failed]
    if args.output:
        (args.output / "results.md").write_text(contents(args.output), "utf-8")
    for claim in failed:
        print(f"failed: {claim}")
    return 1 if failed else 0


def parse(argv=None):
    parser = argparse.ArgumentParser(prog=MODULE, description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument(
        "--only", nargs="+", choices=EXPERIMENTS, help="these experiments"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="of BLAS, default 1: more of them wait for each other in a spin and lose "
        "much where anything else runs; products of convinv use all cores",
    )
    parser.add_argument("--output", type=pathlib.Path, help="folder of the results")
    args = parser.parse_args(argv)
    if not args.only:
        args.only = [name for name in EXPERIMENTS if args.quick or name not in LONG]
    if args.output is None and not args.quick:
        args.output = OUTPUT
    return args


def write(folder, name, text, figures):
    """The Markdown of an experiment with links to its figures, and these."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    for title, figure in figures.items():
        report.save(figure, folder / f"{title}.png")


def contents(folder):
    """What the folder holds: every experiment, its command, its claims, its figures."""
    lines = ["# GMRES for deconvolution", ""]
    for name, (title, _) in EXPERIMENTS.items():
        file = folder / f"{name}.md"
        if not file.exists():
            continue
        text = file.read_text(encoding="utf-8").splitlines()
        lines += [f"## [{title}]({file.name})", ""]
        lines += [line for line in text if line.startswith("- command: ")]
        lines += [line for line in text if ": met, " in line or "**missed**" in line]
        drawn = sorted(folder.glob(f"{name}-*.png"))
        lines += ["", *(f"![{path.stem}]({path.name})" for path in drawn), ""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
