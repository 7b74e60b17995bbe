"""Directives that write pages from the package itself, so that they can't go stale."""

import inspect
import re

from sphinx.util.docutils import SphinxDirective

import convinv


def setup(app):
    app.add_directive("convinv-methods", Methods)
    app.connect("autodoc-process-docstring", escape_stars, priority=600)
    app.connect("autodoc-process-signature", own_signature)
    return {"version": convinv.__version__, "parallel_read_safe": True}


def escape_stars(app, what, name, thing, options, lines):
    """Show the star of ``shape (C_out, *k)`` where numpydoc has put a type."""
    for i, line in enumerate(lines):
        head, colon, kind = line.partition("** : ")
        if not colon and "shape (" in line and ">>>" not in line:  # without a name
            head, kind = "", line
        if kind and "``" not in kind:
            lines[i] = head + colon + re.sub(r"(?<!\w)\*(?=\w)", r"\*", kind)


def own_signature(app, what, name, thing, options, signature, returned):
    """That of ``__init__``, which SciPy's operators hide behind ``__new__``."""
    if what != "class" or signature != "(*args, **kwargs)":
        return None
    parameters = list(inspect.signature(thing.__init__).parameters.values())[1:]
    parameters = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    return str(inspect.Signature(parameters)), returned


class Methods(SphinxDirective):
    """The table of methods and a section for each, from `convinv.methods`."""

    def run(self):
        found = convinv.methods()
        for method in found:
            self.env.note_dependency(inspect.getsourcefile(method.function))
        sections = (method_section(m, self.description(m)) for m in found)
        text = methods_table(found) + "\n\n" + "\n\n".join(sections)
        return self.parse_text_to_nodes(text, allow_section_headings=True)

    def description(self, method):
        """The lines of a method's docstring, its sections rendered by numpydoc."""
        name = f"method {method.name}"  # tells its references from those of others
        lines = linked(inspect.getdoc(method.function)).splitlines()
        self.env.events.emit(
            "autodoc-process-docstring", "function", name, method.function, None, lines
        )
        return lines


COLUMNS = {
    "method": lambda m: f":ref:`{m.name} <method-{m.name}>`",
    "operator": lambda m: needs(m),
    "damp": lambda m: yes(m.damp),
    "preconditioner": lambda m: yes(m.preconditioner),
    "least norm": lambda m: yes(m.minimum_norm),
    "vectors stored": lambda m: str(m.storage),
    "products per iteration": lambda m: str(m.products),
}


def methods_table(methods):
    """The traits of all methods as a list-table."""
    rows = [list(COLUMNS), *([cell(m) for cell in COLUMNS.values()] for m in methods)]
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        lines += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(row)]
    return "\n".join(lines)


def method_section(method, description):
    """A section with the call of a method, its options, and its description."""
    options = [str(option) for option in method.options.values()]
    star = ["*"] if options else []
    call = ", ".join(["op", "b", f"method={method.name!r}", *star, *options])
    lines = [
        f".. _method-{method.name}:",
        "",
        method.name,
        "-" * len(method.name),
        "",
        f":operator: {needs(method)}",
        "",
        f".. py:function:: solve({call})",
        "   :no-index:",
        "",
        *(f"   {line}".rstrip() for line in description),
    ]
    return "\n".join(lines)


def linked(text):
    """Names of methods as links to their sections."""
    names = "|".join(sorted((m.name for m in convinv.methods()), key=len, reverse=True))
    return re.sub(rf"(?<![`:])`({names})`(?!`)", r":ref:`\1 <method-\1>`", text)


def needs(method):
    """What a method asks of the operator, in words."""
    words = list(method.needs)
    if not method.needs_adjoint:
        words.append("no adjoint needed")
    return ", ".join(words) or "any"


def yes(value):
    return "yes" if value else "no"
