"""Names in single backticks: which become code, and which become links."""

import importlib
import types

import pytest

from convinv import ConvLinearOperator, solve
from support.pages import DOCS

pytest.importorskip("sphinx")
if not DOCS.is_dir():
    pytest.skip("no documentation beside the tests", allow_module_level=True)


@pytest.fixture(scope="module")
def names():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS / "_ext"))
        yield importlib.import_module("convinv_names")


def quoted(names, name, thing, text):
    lines = text.splitlines()
    names.quote_own_names(None, "function", name, thing, None, lines)
    return "\n".join(lines)


def example(x, *, rate=1.0):
    pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("If `x` is small", "If ``x`` is small"),
        ("with `rate` and `solve`", "with ``rate`` and `solve`"),
        ("already ``x``, :ref:`x`, `x <y>`", "already ``x``, :ref:`x`, `x <y>`"),
        ("`other` and `x_`", "`other` and `x_`"),
    ],
)
def test_parameters_are_code(names, text, expected):
    assert quoted(names, "convinv.example", example, text) == expected


def test_names_of_sections_are_code(names):
    text = "Returns\n-------\nlow, high : float\n    `low` is below `high`."
    assert "``low`` is below ``high``" in quoted(names, "convinv.e", example, text)


def test_members_know_the_names_of_their_class(names):
    method = ConvLinearOperator.forward
    name = "convinv.ConvLinearOperator.forward"
    assert quoted(names, name, method, "`stride`, `nothing`") == "``stride``, `nothing`"


def test_methods_know_the_arguments_of_solve(names):
    made = quoted(names, "method made_up", example, "`rtol`, `maxiter`, `x`")
    assert made == "``rtol``, ``maxiter``, ``x``"
    assert "`rtol`" == quoted(names, "convinv.example", example, "`rtol`")
    assert "rtol" in names.parameters(solve)


def test_attributes_lose_their_links(names):
    lines = ["   :obj:`padding <.padding>` : tuple", "see :obj:`solve <convinv.solve>`"]
    names.name_attributes(None, "class", "convinv.X", object, None, lines)
    assert lines == ["   **padding** : tuple", "see :obj:`solve <convinv.solve>`"]


class TestFind:
    """The objects and labels are made up, and so is how a link is written."""

    OBJECTS = ["convinv.a.spectrum", "convinv.a.b.spectrum", "convinv.c.one"]
    OBJECTS += ["convinv.d.Class.method", "convinv.d.twice", "convinv.e.twice"]

    @pytest.fixture
    def find(self, names, monkeypatch):
        entry = types.SimpleNamespace
        objects = {n: entry(docname=n, node_id=n) for n in self.OBJECTS}
        labels = {"method-cgls": ("guide/methods", "method-cgls", "cgls")}
        env = types.SimpleNamespace(
            domains=types.SimpleNamespace(
                python_domain=types.SimpleNamespace(objects=objects),
                standard_domain=types.SimpleNamespace(labels=labels),
            )
        )
        app = types.SimpleNamespace(builder=None)
        monkeypatch.setattr(names, "make_refnode", lambda b, f, doc, label, c: label)

        def find(target, domain="py"):
            node = {"reftarget": target, "refdomain": domain, "refdoc": "page"}
            return names.find(app, env, node, None), node["reftarget"]

        return find

    @pytest.mark.parametrize(
        ("target", "found"),
        [
            ("spectrum", "convinv.a.spectrum"),
            ("b.spectrum", "convinv.a.b.spectrum"),
            ("Class.method", "convinv.d.Class.method"),
            ("method", "convinv.d.Class.method"),
            ("cgls", "method-cgls"),
            ("twice", None),
            ("ne", None),
            ("unknown", None),
        ],
    )
    def test_objects(self, find, target, found):
        assert find(target) == (found, target)

    def test_pytorch_in_short(self, find):
        assert find("nn.Conv2d") == (None, "torch.nn.Conv2d")
        assert find("vmap") == (None, "torch.func.vmap")

    def test_other_domains_are_left_alone(self, find):
        assert find("spectrum", domain="std")[0] is None
