"""Tables in pages of the documentation."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from common.atomic_files import write_atomically


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Markdown of a table's rows; the second are the marks of the heading."""
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def insert_tables(page: Path, made: Mapping[str, str]) -> None:
    """Replace tables between their marks, `<!-- table: name -->` and `<!-- end -->`, in a page.

    Args:
        page: Markdown file.
        made: tables by name; others stay.

    Raises:
        KeyError: the page has no mark for a table.
    """
    text = page.read_text()
    for name, table in made.items():
        mark = f"<!-- table: {name} -->"
        if mark not in text:
            raise KeyError(f"{page}: no {mark}")
        text = re.sub(f"({re.escape(mark)})\n.*?(<!-- end -->)", rf"\1\n{_escaped(table)}\2", text, flags=re.DOTALL)
    write_atomically(page, text.encode())


def _escaped(table: str) -> str:
    return table.replace("\\", "\\\\")
