"""Names of convinv that its older versions may lack.

asv runs the newest suites on every commit that it measures. What a commit does not have
yet must not end the import of a suite: a benchmark that comes to use it shows as n/a.
"""

import ast
import importlib
import pathlib

import convinv

SOLVERS = pathlib.Path(__file__).resolve().parents[2] / "convinv" / "solvers"


class Missing:
    """Stands for a name that this version lacks; a call of it skips the benchmark."""

    def __init__(self, name):
        self.name = name

    def __getattr__(self, attribute):
        if attribute.startswith("__"):  # which inspect and pickle ask for
            raise AttributeError(attribute)
        return Missing(f"{self.name}.{attribute}")

    def __call__(self, *args, **kwargs):
        from .devices import skip

        skip(f"this version has no {self.name}")


class Module(Missing):
    """A module of convinv; what stands for the missing in place of what it lacks."""

    def __init__(self, name):
        super().__init__(name)
        try:
            self.module = importlib.import_module(name)
        except ImportError:
            self.module = None

    def __getattr__(self, attribute):
        try:
            return getattr(self.module, attribute)
        except AttributeError:
            return super().__getattr__(attribute)


def optional(module, *names):
    """A module, or the objects of these names in it, or what stands for the missing."""
    found = Module(module)
    objects = [getattr(found, name) for name in names]
    return found if not names else objects[0] if len(names) == 1 else objects


def method_names(objective="least-squares"):
    """Names of the newest version's methods, from the files that declare them.

    asv counts on the parameters of a benchmark being the same for every version, which
    those of the version at hand, `convinv.methods`, are not.
    """
    names = []
    for file in SOLVERS.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "solver":
                traits = {k.arg: k.value for k in node.keywords}
                declared = traits.get("objective")
                if (declared.value if declared else "least-squares") == objective:
                    names.append(node.args[0].value)
    return tuple(sorted(names))


def traits(name):
    """What this version tells of a method; skips a benchmark where it tells little.

    Early versions have a method without saying which layers it takes.
    """
    found = {m.name: m for m in convinv.methods()}.get(name)
    return found if hasattr(found, "takes") else Missing(f"traits of {name!r}")()


def require_method(name):
    """Skip the benchmark where this version does not have a method."""
    if name not in {m.name for m in convinv.methods()}:
        Missing(f"method {name!r}")()
