"""A directive that draws a chart of committed results into the page.

::

    .. convinv-chart:: kernels
       :alt: Dots, most of them right of the line at 1

       What the chart shows, its caption.

The argument names a script in ``docs/charts``. Its ``SOURCE`` is a file in
``benchmarks/results``, its function ``draw`` takes what that holds, rows of JSON or the
tables of Markdown, and returns a figure of Matplotlib. The figure becomes an SVG inside
the page, not an image beside it: its text is found by a search, and its font and colors
are those of the page, light or dark.
"""

import importlib
import io
import json
import pathlib
import re
import runpy

import chart_style
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

CHARTS = "charts"  # folder beside the pages
RESULTS = ("benchmarks", "results")  # below the folder that holds both


def setup(app):
    app.add_directive("convinv-chart", Chart)
    app.add_css_file("charts.css")
    return {"parallel_read_safe": True}


class Chart(SphinxDirective):
    """A chart, and the content as its caption."""

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required}

    def run(self):
        folder, name = pathlib.Path(self.env.srcdir, CHARTS), self.arguments[0]
        script = folder / f"{name}.py"
        if not script.is_file():
            found = ", ".join(sorted(path.stem for path in folder.glob("*.py")))
            raise self.error(f"no chart {name!r} in docs/{CHARTS}; there are {found}")
        chart, source = drawn(script)
        for path in (script, source, pathlib.Path(chart_style.__file__)):
            self.env.note_dependency(str(path))
        text = svg(chart, name, self.options.get("alt", ""))
        caption = nodes.container(classes=["chart-caption"])
        caption += self.parse_content_to_nodes()
        whole = nodes.container(classes=["chart"])
        whole += [nodes.raw("", text, format="html"), caption]
        return [whole]


def drawn(script):
    """The figure of a script, and the path of the results in it."""
    names = runpy.run_path(str(script))
    source = script.parents[2].joinpath(*RESULTS, names["SOURCE"])
    text = source.read_text(encoding="utf-8")
    with chart_style.style():
        return names["draw"](content(text, source.suffix)), source


def content(text, suffix):
    """What a result file holds."""
    if suffix == ".json":
        return json.loads(text)
    return importlib.import_module("benchmarks.support.reading").tables(text)


def svg(figure, name, alt):
    """A figure as an element of HTML, with the page's font and colors."""
    from matplotlib import pyplot

    file = io.StringIO()
    with chart_style.style(), pyplot.rc_context({"svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    text = file.getvalue()
    text = re.sub(
        r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S
    )
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.S)
    used = set(re.findall(r"#([\w-]+)", text))
    text = re.sub(  # ids that nothing refers to are the same in every chart
        r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", text
    )
    for color, variable in chart_style.VARIABLES.items():
        text = text.replace(color, f"var({variable})")
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    label = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
