"""Images larger than memory and batches in blocks: the bars, the tiles, a simulation.

Run from the repository's root, on a machine that does nothing else::

    python -m benchmarks.scaling --output benchmarks/results/scaling.md

It needs what ``python -m pip install -e ".[bench,dask,files]"`` installs, and prints
the plan first. Every part is written to the output when it is done. ``--add`` keeps the
parts that the output has already; ``--resume`` measures only what it lacks, so that a
run that was ended goes on. The full sizes need some 25 GB in the folder of ``--data``,
which is not removed: what lies there is taken again. ``--simulate`` makes a simulation
of 10^12 pixels from the tiles that the output has; nothing in it is measured.
"""

import argparse
import json
import pathlib
import re
import sys
import tempfile

from ..support import machine
from ..support.measure import clock
from ..support.results import write_rows
from . import batches, forecast, large, reach, report, resume, same, sweeps, timed
from .sizes import FULL, QUICK

RESULTS = pathlib.Path(__file__).parents[1] / "results" / "scaling.md"


def main(argv=None):
    args = parse(argv)
    sizes = QUICK if args.quick else FULL
    rows = kept(args)
    names = () if args.simulate else args.only or report.PARTS
    print(plan(names, sizes, args), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.data or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for name in names:
                do(name, sizes, folder, rows, args)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
    if args.simulate:
        simulate(rows, args)
        write(args.output, rows)
    print(f"\n{report.tables(rows)}")
    return int(bool(rows["errors"]) or args.check and bool(report.missed(rows)))


def do(name, sizes, folder, rows, args):
    """Measure a part, and put its rows in place of older ones."""
    failed = rows["errors"].pop(name, None)
    begun = rows.get(name, []) if args.resume else []
    if begun and not failed and name != "tiles":
        print(f"{name}: kept", flush=True)
        return
    rows[name] = begun if name == "tiles" else []
    seconds, _ = clock(lambda: _do(name, sizes, folder, rows, args))
    print(f"{name}: {seconds:.0f} s", flush=True)


def _do(name, sizes, folder, rows, args):
    known = {row["case"] for row in rows[name]}
    try:
        for row in measured(name, sizes, folder, known):
            print(f"  {row['case']}", flush=True)
            rows[name].append(row)
            if name == "tiles":
                rows["compared"] = forecast.compare(rows[name])
            write(args.output, rows)
    except Exception as error:  # whatever it was, the other parts can be measured
        rows["errors"][name] = f"{type(error).__name__}: {error}"
        print(f"  failed: {rows['errors'][name]}", flush=True)
        write(args.output, rows)


def measured(name, sizes, folder, known):
    """The rows of a part, of the tiles without the cases that are known."""
    if name in ("blur", "layer"):
        yield large.measure(name, sizes, folder)
    elif name == "batches":
        yield from batches.measure(sizes, folder)
    elif name == "same":
        yield from same.measure()
    elif name == "resume":
        yield from resume.measure(sizes, folder)
    elif name == "reach":
        yield from reach.measure()
    elif name == "sweeps":
        yield from sweeps.measure(sizes.swept)
    else:
        for setting in sizes.settings():
            if str(setting) not in known:
                yield timed.measure(setting, folder)


def simulate(rows, args):
    """Put the rows of the simulation in place of older ones."""
    if not rows.get("tiles"):
        raise SystemExit(
            "the simulation needs the part tiles in the output's JSON file"
        )
    rows["compared"] = forecast.compare(rows["tiles"])
    rows["costs"] = list(forecast.costs())
    rows[report.SIMULATION] = []
    for row in forecast.simulated(rows["tiles"], **simulated_size(args)):
        hours = row["seconds"] / 3600
        print(f"  {row['problem']}, {row['what']}: {hours:.3g} h simulated", flush=True)
        rows[report.SIMULATION].append(row)


def simulated_size(args):
    """A small one with --quick."""
    if args.quick:
        return {"side": 20_000, "tile": 1024, "workers": 100}
    return {}


def plan(names, sizes, args):
    """What will be done, in some lines."""
    side, half = sizes.side, sizes.side // 2
    about = {
        "blur": f"{side}x{side} from zarr to zarr, {sizes.memory}, and "
        f"{sizes.small}x{sizes.small} in memory",
        "layer": f"3->8, {half}x{half}, likewise",
        "batches": f"{sizes.images:,} images in blocks of {sizes.block}, "
        f"{sizes.rounds} rounds of {len(batches.WAYS)} ways",
        "same": f"{len(same.BOUNDARIES)} boundaries, {len(same.CHUNKS)} chunkings, "
        "two layers, two precisions",
        "resume": f"{sizes.resumed}x{sizes.resumed}, killed {len(resume.KILLS)} times",
        "reach": f"{len(reach.BLURS)} blurs with {len(reach.WEIGHTS)} weights, a layer",
        "sweeps": f"halos of {', '.join(map(str, sweeps.HALOS))}",
        "tiles": f"{len(sizes.settings())} runs on {sizes.timed}x{sizes.timed}",
    }
    lines = [f"  {name}: {about[name]}" for name in names]
    if args.simulate:
        lines.append("  a simulation from the tiles that were measured before")
    where = args.data or "a temporary folder"
    return "\n".join(["plan:", *lines, f"  data in {where}"])


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument(
        "--only", nargs="+", choices=report.PARTS, help="these parts alone"
    )
    parser.add_argument(
        "--simulate", action="store_true", help="simulate, from measured tiles"
    )
    parser.add_argument(
        "--add", action="store_true", help="keep the parts that the output has"
    )
    parser.add_argument(
        "--resume", action="store_true", help="measure only what the output lacks"
    )
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where a bar is missed"
    )
    parser.add_argument(
        "--data", type=pathlib.Path, metavar="DIR", help="where large files are kept"
    )
    parser.add_argument(
        "--output", type=pathlib.Path, help="Markdown file; a JSON file goes beside it"
    )
    args = parser.parse_args(argv)
    if args.simulate and args.output is None:
        args.output = RESULTS
    return args


def kept(args):
    """Parts by their names: those of the output, where they are to be kept."""
    found = {"errors": {}}
    file = args.output and args.output.with_suffix(".json")
    kept = args.add or args.resume or args.simulate
    if kept and file and file.exists():
        found |= json.loads(file.read_text(encoding="utf-8"))
    return found


def write(output, rows):
    """The Markdown and the JSON of all parts so far."""
    if output is None:
        return
    command = machine.command("scaling")
    heading = machine.heading(
        "Larger than memory, more than one machine",
        re.sub(r"--data[= ]\S+", "--data DIR", command),  # a folder of one machine
        packages=(*machine.PACKAGES, "dask", "zarr"),
    )
    write_rows(f"{heading}\n\n{report.tables(rows)}", rows, output)


if __name__ == "__main__":
    sys.exit(main())
