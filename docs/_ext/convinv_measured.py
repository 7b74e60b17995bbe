"""A directive that shows a result file: its tables, and how it was measured, folded.

::

    .. convinv-measured:: benchmarks/results/kernels.md
       :sections: Against torch; Boundaries
       :folded: All tables

       python -m benchmarks.kernel_table --output benchmarks/results/kernels.md

The argument is the file's path from the repository's root, the content the command that
writes it. Both options may be left out. ``sections`` selects some by their titles;
``folded`` puts everything behind a line that opens it. The file's Markdown is parsed by
MyST. Its headings become headings below the section that the directive is in, but not
part of the table of contents. Long tables and lists of claims are folded.

``convinv-printed`` has the Markdown itself as its content: a table as a command prints
it, which a test can compare.
"""

import pathlib
import re

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.utils import new_document
from sphinx.util.docutils import SphinxDirective

LONG = 12  # rows of a table, or claims, that are folded
NUMBER = re.compile(r"[~(+\-±]?\d[\d.,e+\-/±%~ ()]*$|inf$|nan$")
NO_NUMBER = {"", "-"}
MET = re.compile(r": \W*met\b")
MISSED = re.compile(r": \W*missed\b")


def setup(app):
    app.setup_extension("myst_parser")
    app.setup_extension("sphinx_design")  # dropdown
    app.add_directive("convinv-measured", Measured)
    app.add_directive("convinv-printed", Printed)
    app.add_css_file("measured.css")
    return {"parallel_read_safe": True}


class Tables(SphinxDirective):
    """What both have in common: Markdown, and tables that can be read."""

    has_content = True

    def parsed(self, text, source):
        """The sections of Markdown."""
        from myst_parser.parsers.sphinx_ import MystParser

        document = new_document(source, self.state.document.settings)
        document.reporter = self.state.document.reporter
        MystParser().parse(text, document)
        return document.children

    def body(self, parts):
        """The content of a section, its tables and claims made readable."""
        found = []
        for node in parts:
            if isinstance(node, nodes.table):
                found.append(self.table(node))
            elif isinstance(node, nodes.bullet_list):
                found += self.claims(node)
            else:
                found.append(node)
        return found

    def table(self, table):
        align_numbers(table)
        table["classes"].append("measured-table")
        rows = len(next(table.findall(nodes.tbody)))
        return table if rows <= LONG else self.folded(f"table of {rows} rows", [table])

    def claims(self, items):
        """Claims with their number in front, and then the remarks."""
        met = [item for item in items if MET.search(first_line(item))]
        missed = [item for item in items if MISSED.search(first_line(item))]
        claims = [item for item in items if item in met or item in missed]
        rest = [item for item in items if item not in claims]
        lines = len(list(items.findall(nodes.list_item)))
        if len(claims) <= LONG / 2:
            return [items if lines <= LONG else self.folded(f"{lines} lines", [items])]
        title = f"{len(met)} met" + f", {len(missed)} missed" * bool(missed)
        notes = [nodes.bullet_list("", *rest)] if rest else []
        return [self.folded(title, [nodes.bullet_list("", *claims)]), *notes]

    def folded(self, title, body, kind="measured-folded"):
        """Something behind a line that opens it."""
        text = f".. dropdown:: {title}\n   :class-container: {kind}\n"
        (dropdown,) = self.parse_text_to_nodes(text)
        dropdown += body
        return dropdown


class Printed(Tables):
    """Tables that a command prints."""

    def run(self):
        shown = nodes.container(classes=["measured"])
        source, _ = self.get_source_info()
        shown += self.body(self.parsed("\n".join(self.content), source))
        return [shown]


class Measured(Tables):
    """A file that a benchmark wrote; where there is none, how to make it."""

    required_arguments = 1
    option_spec = {"sections": directives.unchanged, "folded": directives.unchanged}

    def run(self):
        root = pathlib.Path(self.env.srcdir).parent
        path, command = root / self.arguments[0], "\n".join(self.content)
        if not path.is_file():
            return self.parse_text_to_nodes(
                "No figures are kept here yet. This makes them, on a machine that does "
                f"nothing else:\n\n.. code-block:: none\n\n   {command}\n"
            )
        self.env.note_dependency(str(path))
        shown = nodes.container(classes=["measured"])
        shown += self.converted(
            self.parsed(path.read_text(encoding="utf-8"), str(path))
        )
        if "folded" not in self.options:
            return [shown]
        return [self.folded(self.options["folded"] or "The tables", [shown])]

    def converted(self, top):
        """The nodes that are shown, in their order, and the measurement last."""
        wanted = [s.strip() for s in self.options.get("sections", "").split(";") if s]
        sections = {s[0].astext(): s for part in top for s in subsections(part)}
        unknown = [title for title in wanted if title not in sections]
        if unknown:
            raise self.error(
                f"no section {unknown[0]!r} in {self.arguments[0]}; it has "
                f"{'; '.join(map(repr, sections))}"
            )
        found, several = [], len(top) > 1
        for part in top:
            chosen = [
                s for s in subsections(part) if not wanted or s[0].astext() in wanted
            ]
            lead = [n for n in part[1:] if not isinstance(n, nodes.section)]
            about = [lead.pop(0)] if lead and is_origin(lead[0]) else []
            if several and chosen:
                found.append(self.heading(part[0], 1))
            if not wanted:
                found += self.body(lead)
            for section in chosen:
                found += self.section(section, 2 if several else 1)
            if about and (chosen or not wanted):
                found.append(self.folded(origin(about[0]), about, "measured-origin"))
        return found

    def section(self, section, below):
        """A section, whose title is on the line that opens it if it begins with one."""
        title, body = section[0], self.body(section[1:])
        if title.astext() == self.title():
            return body
        if body and is_folded(body[0]):
            body[0][0][:0] = [nodes.Text(f"{title.astext()}: ")]
            return body
        return [self.heading(title, below), *body]

    def title(self):
        """That of the section which the directive is in."""
        node = self.state.parent
        while node is not None and not isinstance(node, nodes.section):
            node = node.parent
        return node[0].astext() if node is not None else ""

    def heading(self, title, below):
        """A title as a heading that is so many levels below the current section."""
        depth, node = 1 + below, self.state.parent
        while node is not None:
            depth, node = depth + isinstance(node, nodes.section), node.parent
        # without an id: several files on a page have a section "Claims"
        rubric = nodes.rubric("", "", *(child.deepcopy() for child in title))
        rubric["heading-level"] = min(depth - 1, 6)
        return rubric


def subsections(part):
    return [node for node in part if isinstance(node, nodes.section)]


def is_folded(node):
    return isinstance(node, nodes.container) and node.get("design_component")


def is_origin(node):
    """Whether it says by which command, or on which device, figures were made."""
    named = ("command: ", "device: ")
    return isinstance(node, nodes.bullet_list) and node[0].astext().startswith(named)


def origin(items):
    """Processor and date of a measurement, in a line."""
    text = items.astext()
    named = re.search(
        r"(?:processor|device): ([^;\n]+?)(?:, load average|;|\n|$)", text
    )
    date = re.search(r"\d{4}-\d\d-\d\d", text)
    parts = [named[1] if named else "", date[0] if date else ""]
    words = ", ".join(part for part in parts if part)
    return f"How this was measured: {words}" if words else "How this was measured"


def first_line(item):
    """The text of an item of a list without those below it."""
    return item[0].astext() if len(item) else ""


def align_numbers(table):
    """Columns whose cells are numbers to the right."""
    rows = [row.children for row in table.findall(nodes.row)]
    for column in zip(*rows):
        texts = [entry.astext().strip() for entry in column[1:]]
        numbers = [text for text in texts if text not in NO_NUMBER]
        if numbers and all(NUMBER.match(text) for text in numbers):
            for entry in column:
                entry["classes"].append("measured-number")
