"""The command of some experiments: its options and the files it writes."""

import argparse
import pathlib
import sys

from threadpoolctl import threadpool_limits

from . import machine, results
from .outcome import text_of
from .png import save

RESULTS = pathlib.Path(__file__).parents[1] / "results"


class Command:
    """Runs the experiments of a document, by default all but the `long` ones.

    `name` is that of the package in `benchmarks`, such as "papers.strip".
    `experiments` has a title and a function of every name, which takes whether to be
    quick, and returns an `Outcome`. With `folders` it takes a dict of them too: names
    of options with the path of a folder, or None, and what is in it.
    """

    def __init__(self, name, title, about, experiments, *, long=(), folders=()):
        self.name, self.title, self.about = name, title, about
        self.module = f"python -m benchmarks.{name}"
        self.experiments, self.long, self.folders = experiments, long, dict(folders)

    def main(self, argv=None):
        args = self.parse(argv)
        failed = []
        for name in args.only:
            try:
                outcome, text = self.outcome(name, args)
            except ModuleNotFoundError as error:
                print(f"{name}: left out, it needs {error.name}", flush=True)
                continue
            print(f"{text}\n", flush=True)
            if args.output:
                write(args.output, name, text, outcome.figures)
            failed += [f"{name}: {claim.text}" for claim in outcome.failed]
        if args.output:
            results.write(self.contents(args.output), args.output / "results.md")
        for claim in failed:
            print(f"failed: {claim}")
        return 1 if failed else 0

    def parse(self, argv=None):
        about = self.about.split("\n")[0]
        parser = argparse.ArgumentParser(prog=self.module, description=about)
        parser.add_argument("--quick", action="store_true", help="small sizes")
        parser.add_argument(
            "--only", nargs="+", choices=self.experiments, help="these experiments"
        )
        parser.add_argument(
            "--threads",
            type=int,
            default=1,
            help="of BLAS, default 1: more of them wait for each other in a spin and "
            "lose much where anything else runs; products of convinv use all cores",
        )
        for name, content in self.folders.items():
            parser.add_argument(f"--{name}", type=folder, metavar="DIR", help=content)
        parser.add_argument("--output", type=pathlib.Path, help="folder of the results")
        args = parser.parse_args(argv)
        if not args.only:
            every = list(self.experiments)
            args.only = [n for n in every if args.quick or n not in self.long]
        if args.output is None and not args.quick:
            args.output = RESULTS.joinpath(*self.name.split("."))
        return args

    def outcome(self, name, args):
        """What an experiment found, and its Markdown."""
        title, run = self.experiments[name]
        command = [self.module, *["--quick"] * args.quick, "--only", name]
        folders = {option: getattr(args, option) for option in self.folders}
        command += [f"--{option} DIR" for option, path in folders.items() if path]
        head = machine.heading(  # before, for the load
            title,
            " ".join(command),
            threads=f"threads of BLAS: {args.threads}",
            packages=(*machine.PACKAGES, "torch", "jax"),
        )
        with threadpool_limits(args.threads, user_api="blas"):
            outcome = run(args.quick, folders) if folders else run(args.quick)
        return outcome, f"{head}\n\n{text_of(outcome)}"

    def contents(self, output):
        """What the folder holds: experiments, their commands, claims and figures."""
        lines = [f"# {self.title}", ""]
        for name, (title, _) in self.experiments.items():
            file = output / f"{name}.md"
            if not file.exists():
                continue
            text = file.read_text(encoding="utf-8").splitlines()
            lines += [f"## [{title}]({file.name})", ""]
            lines += [line for line in text if line.startswith("- command: ")]
            lines += [s for s in text if ": met, " in s or "**missed**" in s]
            drawn = sorted(output.glob(f"{name}-*.png"))
            lines += ["", *(f"![{path.stem}]({path.name})" for path in drawn), ""]
        return "\n".join(lines).rstrip()

    def exit(self):
        sys.exit(self.main())


def folder(text):
    path = pathlib.Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no folder")
    return path


def write(output, name, text, figures):
    """The Markdown of an experiment with links to its figures, and these."""
    results.write(text, output / f"{name}.md")
    for title, figure in figures.items():
        save(figure, output / f"{title}.png")
