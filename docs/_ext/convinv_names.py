"""What a name in single backticks means, where Sphinx cannot tell.

Docstrings call parameters and attributes by their name, and objects of the package
without their module. A name of the docstring itself becomes code; any other name is
looked up in the whole reference.
"""

import inspect
import re

from sphinx.util.nodes import make_refnode

import convinv

QUOTED = re.compile(r"(?<![`:\w])`([A-Za-z_]\w*)`(?![`_\w])")
# in the lists of numpydoc's sections: ``x, y : array``, ``*shape : int``
LISTED = re.compile(r"^\*{0,2}(\w+(?:, \*{0,2}\w+)*)(?: : .*)?$", re.MULTILINE)

TRANSFORMS = {"vmap", "vjp", "jvp", "jacrev", "jacfwd", "hessian"}  # of PyTorch


def setup(app):
    app.connect("autodoc-process-docstring", quote_own_names, priority=400)
    app.connect("autodoc-process-docstring", name_attributes, priority=600)
    app.connect("missing-reference", find, priority=400)
    return {"parallel_read_safe": True}


def quote_own_names(app, what, name, thing, options, lines):
    """Names of parameters, results and attributes as code."""
    own = own_names(thing, lines) | names_of_class(name)
    if name.startswith("method "):  # which `solve` calls with its own arguments
        own |= parameters(convinv.solve)
    for i, line in enumerate(lines):
        lines[i] = QUOTED.sub(
            lambda m: f"``{m[1]}``" if m[1] in own and not is_object(m[1]) else m[0],
            line,
        )


def name_attributes(app, what, name, thing, options, lines):
    """Attributes without the links that numpydoc makes of those with a docstring.

    They would lead to the same page, or, inherited from a private class, nowhere.
    """
    for i, line in enumerate(lines):
        lines[i] = re.sub(r"^( *):obj:`(\w+) <[\w.]*\.\2>`", r"\1**\2**", line)


def own_names(thing, lines):
    found = {n for m in LISTED.finditer("\n".join(lines)) for n in m[1].split(", ")}
    found = {n.lstrip("*") for n in found}
    if callable(thing):
        found |= parameters(thing)
    return found


def parameters(thing):
    """Names of the parameters; of a class, those of its constructor."""
    if inspect.isclass(thing):
        thing = thing.__init__
    try:
        return {*inspect.signature(thing).parameters}
    except (TypeError, ValueError):  # built in
        return set()


def names_of_class(name):
    """Of ``module.Class.member``: what the docstring of the class speaks of."""
    owner = locate(name.rpartition(".")[0])
    if not inspect.isclass(owner):
        return set()
    return own_names(owner, (inspect.getdoc(owner) or "").splitlines())


def locate(name):
    """The object with a dotted name in the package, or None."""
    thing = convinv
    for part in name.split(".")[1:]:
        thing = getattr(thing, part, None)
    return thing


def is_object(name):
    """Whether the package itself has a function or class of this name."""
    return callable(getattr(convinv, name, None))


def find(app, env, node, contnode):
    """A method of `solve`, or the object of the reference whose last names these are.

    Of several objects the one in the fewest modules and classes is meant.
    """
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py":
        return None
    if f"method-{target}" in env.domains.standard_domain.labels:
        docname, label, _ = env.domains.standard_domain.labels[f"method-{target}"]
        return make_refnode(app.builder, node["refdoc"], docname, label, contnode)
    if target.startswith("nn."):
        node["reftarget"] = f"torch.{target}"  # for intersphinx, which is asked next
    elif target in TRANSFORMS:
        node["reftarget"] = f"torch.func.{target}"
    objects = env.domains.python_domain.objects
    ends = [name for name in objects if f".{name}".endswith(f".{target}")]
    depth = min((name.count(".") for name in ends), default=0)
    nearest = [name for name in ends if name.count(".") == depth]
    if len(nearest) != 1:
        return None
    entry = objects[nearest[0]]
    return make_refnode(
        app.builder, node["refdoc"], entry.docname, entry.node_id, contnode
    )
