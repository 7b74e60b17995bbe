"""Formulas as MathML, made by the build: browsers draw them without a script."""

import html
import re

from docutils import nodes
from latex2mathml import converter
from sphinx.util.math import get_node_equation_number

# What latex2mathml knows by another name or not at all. Letters of one width are a text
# to it, as browsers draw identifiers in italics; it aligns the lines of align* only.
KNOWN = {
    r"\mathtt": r"\texttt",
    "{aligned}": "{align*}",
    r"\big\|": r"\|",
    r"\arg\min": r"\operatorname{argmin}",
}
# What latex2mathml writes, and what browsers draw well: they know no variants but
# "normal", and leave wide gaps about operators that they do not know.
BETTER = {
    r"\\_": "_",
    r'mathvariant="monospace"': 'style="font-family: monospace"',
    r"<mo>(max|min)</mo>": r'<mo lspace="0" rspace="0.1em">\1</mo>',
    r"<mo>([A-Za-z]{2,})</mo>": r"<mi>\1</mi>",
    r"<mo\b([^>]*)>(&#x02016;|\|)": r'<mo\1 lspace="0" rspace="0">\2',
}


def setup(app):
    app.add_html_math_renderer(
        "mathml", inline_renderers=(inline, None), block_renderers=(block, None)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mathml(tex, display):
    """The ``<math>`` element of a formula, with its TeX as a description."""
    if needs_rows(tex):
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    for command, known in KNOWN.items():
        tex = tex.replace(command, known)
    made = converter.convert(tex, display="block" if display else "inline")
    for pattern, better in BETTER.items():
        made = re.sub(pattern, better, made)
    return made.replace("<math ", f'<math alttext="{html.escape(tex)}" ', 1)


def inline(translator, node):
    translator.body.append(mathml(node.astext(), display=False))
    raise nodes.SkipNode


def block(translator, node):
    """A formula in a box that scrolls by itself, with its number if it has one."""
    translator.body.append(translator.starttag(node, "div", CLASS="math-box"))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})')
        translator.add_permalink_ref(node, "Link to this formula")
        translator.body.append("</span>")
    for part in re.split(r"\n\s*\n", node.astext().strip()):
        translator.body.append(mathml(part, display=True))
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def needs_rows(tex):
    """Several lines that no environment of the formula breaks."""
    return r"\\" in tex and r"\begin" not in tex
