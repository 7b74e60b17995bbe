"""Check that a built wheel holds the CUDA sources and the type marker."""

import pathlib
import sys
import zipfile

root = pathlib.Path(__file__).parents[1]
held = set(zipfile.ZipFile(sys.argv[1]).namelist())
needed = {
    str(path.relative_to(root))
    for pattern in ("*.py", "*.cu", "*.cuh", "py.typed")
    for path in root.joinpath("convinv").rglob(pattern)
}
missing = sorted(needed - held)
if missing:
    sys.exit(f"missing from the wheel: {', '.join(missing)}")
print(f"wheel holds all {len(needed)} files of the package")
