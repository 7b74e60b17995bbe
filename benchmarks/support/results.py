"""Where a command's text and rows go: to the terminal and to files."""

import json


def show(text, output=None):
    """Print a text, and write it to a file if there is to be one."""
    print(text)
    if output is not None:
        write(text, output)


def write(text, output):
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text + "\n", encoding="utf-8")


def write_rows(text, rows, output):
    """The Markdown, and the rows as JSON beside it."""
    write(text, output)
    write(json.dumps(rows, indent=1), output.with_suffix(".json"))
