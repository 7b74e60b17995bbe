"""asv's pages of all results, made to work without a network."""

import json
import pathlib

from .defaults import CONFIG, RESULTS
from .measure import AsvFailed, asv
from .offline import make_offline


class NotPublishable(ValueError):
    """Results or a folder that must not become, or be replaced by, a dashboard."""


def publish(output, config=CONFIG, results=RESULTS):
    """Write the pages into a folder, in place of an earlier dashboard there."""
    output = pathlib.Path(output).resolve()
    refuse_other_files(output)
    refuse_paths(results)
    status = asv("publish", "--no-pull", f"--html-dir={output}", config=config)
    if status:
        raise AsvFailed(
            f"asv publish ended with status {status}; its own words are above. It "
            "needs the repository with all commits that have results (no shallow clone)"
        )
    leave_out_unmeasured(output)
    make_offline(output)
    return output / "index.html"


def refuse_other_files(output):
    """asv empties the folder, which therefore must be new, empty or a dashboard."""
    if output.is_dir() and any(output.iterdir()):
        if not (output / "regressions.json").is_file():
            raise NotPublishable(
                f"--output {output} holds other files; name a new folder"
            )


def refuse_paths(results):
    """Results of an interpreter that was given by its path say where that is."""
    for file in sorted(results.glob("*/*.json")):
        python = json.loads(file.read_text()).get("python") or ""
        if "/" in python or "\\" in python:
            raise NotPublishable(
                f"{file.name} was measured by --python={python}, a path that the pages "
                "would show; remove it and measure in asv's own environment"
            )


def leave_out_unmeasured(output):
    """Do not show benchmarks without results, for which there are no curves to load."""
    file = output / "index.json"
    index = json.loads(file.read_text())
    measured = {curve.stem for curve in (output / "graphs" / "summary").glob("*.json")}
    index["benchmarks"] = {
        name: known for name, known in index["benchmarks"].items() if name in measured
    }
    file.write_text(json.dumps(index))
