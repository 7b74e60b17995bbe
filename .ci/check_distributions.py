"""Check what is released: the wheel, the source distribution and the conda recipe.

Both are built twice, from copies that differ in dates and in the permissions of new
files, and have the same bytes; they hold what they should, an index page can show the
README, and the recipe says what setup.cfg says. The tools are those of the extra
``release``.

The wheel and the source distribution are left in the folder that is given.
"""

import configparser
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

from rattler_build.stage0 import Stage0Recipe

ROOT = pathlib.Path(__file__).parents[1]
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg", encoding="utf-8")


def main(target):
    with tempfile.TemporaryDirectory() as scratch:
        first, second = (built(pathlib.Path(scratch, n), n) for n in ("022", "077"))
        assert digests(first) == digests(second), "two builds differ"
        shutil.copytree(first, target, dirs_exist_ok=True)
    files = sorted(map(str, pathlib.Path(target).iterdir()))
    run("twine", "check", "--strict", *files)
    run("check_manifest", "--no-build-isolation")
    (wheel,) = (name for name in files if name.endswith(".whl"))
    check_wheel(wheel)
    check_recipe()


def run(module, *arguments, cwd=ROOT):
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, cwd=cwd)


def built(folder, mask):
    """The folder with what is built from a copy of what git tracks or would track."""
    copy = folder / "source"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(None, done.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)  # dated now
            (copy / name).chmod(
                0o777 & ~int(mask, 8) & ROOT.joinpath(name).stat().st_mode
            )
    build = f'umask {mask} && "$0" -m build -n -o "$1" .'
    subprocess.run(
        ["bash", "-c", build, sys.executable, str(folder / "dist")],
        cwd=copy,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return folder / "dist"


def digests(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
    }


def check_wheel(path):
    """It holds the CUDA sources, the type marker and the data of the plugin."""
    held = set(zipfile.ZipFile(path).namelist())
    patterns = ("*.py", *CONFIG["options.package_data"]["*"].split(", "))
    needed = {
        str(found.relative_to(ROOT))
        for pattern in patterns
        for found in ROOT.joinpath("convinv").rglob(pattern)
    }
    missing = sorted(needed - held)
    assert needed and not missing, f"missing from the wheel: {', '.join(missing)}"
    print(f"wheel holds all {len(needed)} files of the package")


def check_recipe():
    """conda's recipe renders, and says what setup.cfg and the package say."""
    recipe = Stage0Recipe.from_file(ROOT / "recipes" / "convinv" / "recipe.yaml")
    (variant,) = recipe.render()
    rendered = variant.recipe.to_dict()
    metadata, options = CONFIG["metadata"], CONFIG["options"]
    init = (ROOT / "convinv" / "__init__.py").read_text(encoding="utf-8")
    assert f'__version__ = "{rendered["package"]["version"]}"' in init
    wanted = {f"python {options['python_requires']}"}
    wanted |= {spaced(line) for line in options["install_requires"].split("\n") if line}
    assert set(rendered["requirements"]["run"]) == wanted
    about = rendered["about"]
    assert about["license"] == metadata["license_expression"]
    assert about["summary"] == metadata["description"]
    assert about["homepage"].rstrip("/") == metadata["url"]
    command = CONFIG["options.entry_points"]["console_scripts"].strip()
    assert rendered["build"]["python"]["entry_points"] == [command]
    print("conda's recipe renders and agrees with setup.cfg")


def spaced(requirement):
    """``numpy>=2.1`` as conda writes it."""
    return requirement.replace(">=", " >=", 1)


if __name__ == "__main__":
    main(sys.argv[1])
