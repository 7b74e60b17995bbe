"""Which result files the pages show, and by which command these are made."""

import re

DIRECTIVE = re.compile(
    r"^\.\. convinv-measured:: (\S+)\n(?: +:.*\n)*\n +python -m (.+)$", re.MULTILINE
)


def measured(text):
    """``[(file, command), ...]`` of a page, in its order and each of them once."""
    found = DIRECTIVE.findall(text)
    assert len(found) == text.count("convinv-measured::")
    return list(dict.fromkeys(found))
