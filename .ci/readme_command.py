"""Print one of the two shell commands of README.rst: "main" or "tests"."""

import pathlib
import re
import sys

text = pathlib.Path(__file__).parents[1].joinpath("README.rst").read_text()
blocks = re.findall(r"\.\. code-block:: bash\n\n((?:    .*\n)+)", text)
wanted = {"main": "convinv demo", "tests": "pytest"}[sys.argv[1]]
(block,) = (b for b in blocks if wanted in b)
print("\n".join(line[4:] for line in block.splitlines()))
