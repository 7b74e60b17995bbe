"""What was measured, as JSON and as Markdown."""

import datetime
import json
import math

from ..support.outcome import Claim, Outcome, Table, text_of
from ..support.results import write

NAME = "gpu"
EMPTY = {"where": {}, "parts": {}}


class Record:
    """The parts of a run, written to a folder after each of them.

    With `keep`, parts that the folder holds from the same device and versions stay.
    """

    def __init__(self, where, folder=None, keep=False):
        self.folder = folder
        self.found = {"where": where, "parts": {}}
        held = read(folder) if folder and keep else EMPTY
        if held["where"] == where:
            self.found["parts"] = held["parts"]

    def add(self, name, outcome, **details):
        """Take a part in; `details` are its title, command, clocks, failures ..."""
        self.found["parts"][name] = plain(
            {
                **details,
                "date": str(datetime.date.today()),
                "tables": [table._asdict() for table in outcome.tables],
                "claims": [claim._asdict() for claim in outcome.claims],
                "notes": outcome.notes,
            }
        )
        self.write()

    def add_failure(self, name, error, **details):
        """Note that nothing came back of a part."""
        failures = [{"case": name, "error": error, "trace": ""}]
        nothing = {"tables": [], "claims": [], "notes": [], "failures": failures}
        state = {"before": "unknown", "after": "unknown"}
        self.found["parts"][name] = plain({**details, **state, **nothing})
        self.write()

    def write(self):
        """Put what is there into the folder, if there is one."""
        if self.folder is None:
            return
        data = json.dumps(self.found, indent=1, allow_nan=False)
        write(data, self.folder / f"{NAME}.json")
        write(markdown(self.found), self.folder / f"{NAME}.md")


def read(folder):
    """What a folder holds."""
    path = folder / f"{NAME}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else EMPTY


def plain(value):
    """`value` as JSON has it: numbers of Python's, and none that isn't finite."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # a number of NumPy's
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def failed(found):
    """Words on all that failed: agreements that were missed, and exceptions."""
    words = []
    for name, part in found["parts"].items():
        claims = [Claim(**claim) for claim in part["claims"] if not claim["soft"]]
        words += [f"{name}: {c.text}, {c.found}" for c in claims if not c.holds]
        words += [f"{name}: {f['case']}: {f['error']}" for f in part["failures"]]
    return words


def markdown(found):
    """All parts, with the bars in front."""
    parts = found["parts"]
    lines = ["# Speed on a GPU", ""]
    lines += [f"- {name}: {value}" for name, value in found["where"].items()]
    lines += ["", "## Bars", ""]
    bars = [Claim(**c) for p in parts.values() for c in p["claims"] if c["soft"]]
    lines += [str(bar) for bar in bars] or ["None was measured."]
    return "\n\n".join(["\n".join(lines), *map(section, parts.values())])


def section(part):
    """A part without its bars."""
    tables = [Table(**table) for table in part["tables"]]
    failed = [f"{f['case']}: **failed**, {f['error']}" for f in part["failures"]]
    claims = [Claim(**claim) for claim in part["claims"] if not claim["soft"]]
    missed = [f"{claim.text}: **missed**, {claim.found}" for claim in claims
              if not claim.holds]  # fmt: skip
    notes = [f"{len(claims) - len(missed)} of {len(claims)} agreements met"]
    notes = (notes if claims else []) + missed + failed + part["notes"]
    head = (
        f"# {part['title']}\n\n- command: `{part['command']}`\n"
        f"- {part['date']}, {part['seconds']:.0f} s\n"
        f"- before: {part['before']}\n- after: {part['after']}"
    )
    return f"{head}\n\n{text_of(Outcome(tables, [], notes, {}))}"
