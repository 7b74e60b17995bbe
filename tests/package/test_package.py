"""Imports, layers, public names and installs of the package."""

import ast
import csv
import enum
import importlib
import inspect
import os
import pathlib
import re
import sys

import pytest

import convinv
from convinv.kernels import KERNELS
from support import factor_oracles, oracles
from support.optional_packages import missing, skipped
from support.paths import PACKAGE, ROOT
from support.processes import run

FILES = sorted(PACKAGE.rglob("*.py"))

# The rooms from the ground up; a module imports from lower levels and from its room.
ROOMS = ROOT / "docs" / "rooms.csv"
with ROOMS.open(encoding="utf-8", newline="") as table:
    LEVELS = {row["room"]: int(row["level"]) for row in csv.DictReader(table)}
# third-party packages and the files that may import them; the others only NumPy, SciPy
PLACES = {
    "numba": r"kernels/.*",
    "llvmlite": r"kernels/.*",
    "cloudpickle": r"distributed/_shipped\.py",
    "cupy": r"(kernels|interop)/.*",
    "dask": r"distributed/\w+\.py",
    "torch": r"interop/((torch|deepinv)/\w+|onnx/_modules)\.py",
    "deepinv": r"interop/deepinv/\w+\.py",
    "magicgui": r"interop/napari/_widget\.py",
    "napari": r"interop/napari/_widget\.py",
    "qtpy": r"interop/napari/_widget\.py",
    "lazy_loader": r"(interop/)?__init__\.py",
    "platformdirs": r"kernels/jit_cache\.py",
    "pytest": r"testing/test_\w+\.py",
    "threadpoolctl": r"_core/blas_threads\.py",
}


def name_of(path):
    """The dotted name of a file, relative to the package; "" is the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


def imports(path):
    """(dotted absolute name, whether it runs at import) of all that a file imports."""
    package = path.relative_to(PACKAGE.parent).parent.parts
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {
        node
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node not in inner
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            for alias in node.names:
                parts = (*base, *filter(None, [node.module]), alias.name)
                yield ".".join(parts), node not in inner


def internal(path):
    """The package's modules that a file imports, by their names in MODULES."""
    for name, at_import in imports(path):
        parts = name.split(".")
        if parts[0] != "convinv":
            continue
        inside = ".".join(parts[1:])
        while inside and inside not in MODULES:  # names of things in modules
            inside = inside.rpartition(".")[0]
        yield inside, at_import


def room(name):
    return name.split(".")[0]


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_levels(name):
    for other, _ in internal(MODULES[name]):
        if other == "":
            above = room(name) in ("cli", "interop", "testing")
            assert above, f"{name} imports the package itself"
        elif room(other) != room(name):
            lower = LEVELS[room(other)] < LEVELS[room(name)]
            assert lower, f"{name} imports {other}"


def test_every_room_has_a_level():
    assert set(LEVELS) == {room(name) for name in MODULES if name}


@pytest.mark.slow
def test_no_circles():
    graph = {
        name: {other for other, at_import in internal(path) if at_import} - {""}
        for name, path in MODULES.items()
    }

    def visit(name, path):
        assert name not in path, f"imports in a circle: {path} {name}"
        for other in graph[name] - {name}:
            visit(other, (*path, name))

    for name in MODULES:
        # a package imports its own files, which may import from it what is above them
        if not MODULES[name].name == "__init__.py":
            visit(name, ())


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith("solvers.")])
def test_solvers_do_not_import_each_other(name):
    for other, _ in internal(MODULES[name]):
        if other.startswith("solvers."):
            assert other.split(".")[1].startswith("_"), f"{name} imports {other}"


@pytest.mark.parametrize("name", MODULES)
def test_third_party_imports(name):
    path = MODULES[name]
    here = path.relative_to(PACKAGE).as_posix()
    for imported, at_import in imports(path):
        top = imported.split(".")[0]
        if top in sys.stdlib_module_names or top in ("convinv", "numpy", "scipy"):
            continue
        if top in PLACES:
            assert re.fullmatch(PLACES[top], here), f"{here} imports {top}"
        else:
            assert not at_import, f"{here} imports {top} when it is imported"


@pytest.mark.parametrize(
    "module", ["", *(n for n in MODULES if re.fullmatch(r"[a-z]\w*", n))]
)
def test_importing_is_light(module):
    """Optional and slow packages are loaded when they are needed."""
    module = f"convinv.{module}".rstrip(".")
    if "interop" in module or module.endswith(("kernels", "distributed")):
        pytest.skip("loads what it is for")
    code = f"import sys, {module}; print(*sys.modules)"
    done = run(code, PYTHONPATH=str(PACKAGE.parent))
    assert done.returncode == 0, done.stderr
    heavy = {"cupy", "numba", "llvmlite", "torch", "matplotlib", "skimage", "tqdm"}
    heavy |= {"dask", "distributed", "xarray"}
    assert not heavy & set(done.stdout.split())


def test_a_cupy_that_cannot_be_imported_does_no_harm(tmp_path):
    broken = "raise RuntimeError('no driver')"
    (tmp_path / "cupy.py").write_text(broken, encoding="utf-8")
    code = (
        "import convinv, numpy as np\n"
        "op = convinv.ConvLinearOperator(np.ones((1, 1, 2)), (1, 5))\n"
        "print(convinv.solve(op, np.ones(4)).success)"
    )
    done = run(code, PYTHONPATH=f"{tmp_path}{os.pathsep}{PACKAGE.parent}")
    assert done.stdout == "True\n" and not done.stderr


class TestKernels:
    """Every kernel has its parts, with the same functions and signatures."""

    FOLDER = PACKAGE / "kernels"

    @classmethod
    def functions(cls, kernel, form):
        """{name: names of the arguments} of the public functions of a form."""
        path = cls.FOLDER / kernel / f"{form}.py"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        return {
            node.name: [argument.arg for argument in node.args.args]
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        }

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_parts(self, kernel):
        for part in ("__init__.py", "cpu.py", "cuda.py", "cuda.cu"):
            assert (self.FOLDER / kernel / part).is_file()

    @pytest.mark.parametrize("kernel", KERNELS)
    @pytest.mark.parametrize("form", ["cuda", "array_api"])
    def test_signatures(self, kernel, form):
        if not (self.FOLDER / kernel / f"{form}.py").is_file():
            assert form == "array_api"
            pytest.skip("has no such form")
        contract, other = self.functions(kernel, "cpu"), self.functions(kernel, form)
        assert contract and {name: other.get(name) for name in contract} == contract

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_oracles(self, kernel):
        for function in self.functions(kernel, "cpu"):
            if function not in ("prepare", "scratch_bytes"):
                name = f"{kernel}_{function}"
                found = getattr(oracles, name, None) or getattr(factor_oracles, name)
                assert callable(found)

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_contract(self, kernel):
        path = self.FOLDER / kernel / "__init__.py"
        words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert "Contract" in words
        for function in self.functions(kernel, "cpu"):
            assert f"``{function}(" in words, f"{function} is not in the contract"

    def test_no_others(self):
        sources = self.FOLDER.rglob("*.cu")
        for path in sources:  # each with a launcher beside it
            assert path.parent.name in KERNELS and path.stem.startswith("cuda")
            assert path.with_suffix(".py").is_file()


def public_modules():
    """The modules that say which of their names are public."""
    for short, path in MODULES.items():
        if any(part.startswith("_") for part in short.split(".")):
            continue
        if "__all__" in path.read_text(encoding="utf-8"):
            name = f"convinv.{short}".rstrip(".")
            yield name, missing(name)


PUBLIC = [
    skipped(needed, name) if needed else importlib.import_module(name)
    for name, needed in public_modules()
]
HERE = [module for module in PUBLIC if inspect.ismodule(module)]


SUBMODULES = {
    "distributed", "gallery", "imaging", "interop", "learning", "local_inverse",
    "lowrank", "operators", "precondition", "proximal", "spectra", "strips", "testing",
}  # fmt: skip
NEEDING = {name for name in SUBMODULES if missing(f"convinv.{name}")}


class TestSubmodules:
    def test_are_loaded_when_asked_for(self):
        code = (
            "import sys, convinv\n"
            f"for name in {sorted(SUBMODULES - NEEDING - {'interop'})}:\n"
            "    print(f'convinv.{name}' in sys.modules, end=' ')\n"
            "    assert getattr(convinv, name) is sys.modules[f'convinv.{name}']\n"
            "print(convinv.gallery.problem.__name__, convinv.interop.__name__)"
        )
        done = run(code, PYTHONPATH=str(PACKAGE.parent))
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[-2:] == ["problem", "convinv.interop"]
        assert "False" in done.stdout  # not everything comes with the package

    def test_names(self):
        """Public names and no others, whatever has been imported."""
        shown = set(dir(convinv))
        assert shown == {*convinv.__all__, *SUBMODULES, "__version__"}
        assert all(hasattr(convinv, name) for name in shown - NEEDING)
        with pytest.raises(AttributeError, match="convinv attribute nope"):
            convinv.nope
        assert not hasattr(convinv, "torch")

    @pytest.mark.slow
    def test_type_checkers_see_them(self, tmp_path):
        api = pytest.importorskip("mypy.api")
        lines = ["import convinv", *(f"convinv.{name}" for name in sorted(SUBMODULES))]
        lines += ["reveal_type(convinv.gallery.images())", "convinv.nope"]
        path = tmp_path / "use.py"
        path.write_text("\n".join(lines), encoding="utf-8")
        cache = ["--cache-dir", str(tmp_path / "cache")]
        options = ["--config-file", str(PACKAGE.parent / "setup.cfg"), *cache]
        if not pathlib.Path(options[1]).is_file():
            pytest.skip("no configuration of mypy beside the package")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MYPYPATH", str(PACKAGE.parent))
            said, errors, _ = api.run([*options, str(path)])
        assert not errors
        found = [line.partition(": ")[2] for line in said.splitlines()]
        assert 'note: Revealed type is "list[str]"' in said.replace("builtins.", "")
        assert sum("error: " in line for line in found) == 1, said
        assert "convinv.nope" in said or '"nope"' in said


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.?(a|b|rc|dev)\d+)?", convinv.__version__)
    assert (PACKAGE / "py.typed").is_file()
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {convinv.__version__}\n" in cited


@pytest.mark.parametrize("module", PUBLIC, ids=lambda m: getattr(m, "__name__", m))
def test_public_names(module):
    assert module.__doc__
    names = module.__all__
    assert len(names) == len(set(names)) and list(names) == sorted(names)
    for name in names:
        assert getattr(module, name) is not None


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module in HERE for name in module.__all__],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_docstrings(module, name):
    """Every argument is described, and what comes back."""
    thing = getattr(module, name)
    if not callable(thing):
        return  # data
    words = inspect.getdoc(thing)
    assert words and words[0].isupper() and words.split("\n")[0].endswith(".")
    if inspect.isclass(thing):
        for method_name, method in vars(thing).items():
            if callable(method) and not method_name.startswith("_"):
                assert inspect.getdoc(method), f"{method_name} has no docstring"
        if issubclass(thing, (enum.Enum, Exception)):
            return
    parameters = set(inspect.signature(thing).parameters)
    if inspect.isclass(thing) and {"args", "kwargs"} <= parameters:
        # those of a base's __new__, which some Pythons take for the class's own
        parameters = set(inspect.signature(thing.__init__).parameters) - {"self"}
    if inspect.isclass(thing):
        if not re.search(r"^Parameters\n-+$", words, re.MULTILINE):  # users make none
            missing = {p for p in parameters if not re.search(rf"\b{p}\b", words)}
            assert not missing
            return
    described = re.findall(r"^([\w, *]+)(?: :.*)?$", words, re.MULTILINE)
    described = {n.strip(" *") for line in described for n in line.split(",")}
    assert not parameters - described
    if parameters and not inspect.isclass(thing):
        assert re.search(r"^(Returns|Yields)\n-+$", words, re.MULTILINE)
