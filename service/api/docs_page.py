"""The API's description for people, at `/docs`: `docs/api.md` in HTML, which needs no script and no other host."""

from html import escape
from itertools import pairwise

from markdown_it import MarkdownIt

from service.api.markdown import HEAD, Json, anchor, page

FRAME = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="page/icon.svg">
<link rel="stylesheet" href="page/style.css">
<body class="reference">
<header><a href="./">{name}</a></header>
<main>
{content}</main>
</html>
"""


def reference(document: Json) -> bytes:
    """The document as a page."""
    markdown = MarkdownIt("commonmark").enable("table")
    tokens = markdown.parse(page(document).removeprefix(HEAD))
    for opening, inside in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", anchor(inside.content.strip("`")))
    content = markdown.renderer.render(tokens, markdown.options, {})
    name = escape(document["info"]["title"])
    return FRAME.format(title=f"The HTTP API of {name}", name=name, content=content).encode()
