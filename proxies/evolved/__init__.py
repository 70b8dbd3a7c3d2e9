"""Evolved proxies: formulas that are data, JSON expressions over scores of other proxies or over layers' tensors."""

from proxies.evolved.documents import EvolvedDocument, load_document, parse_document
from proxies.evolved.expression import Expression, parse_expression
from proxies.evolved.proxy import EvolvedProxy

__all__ = [
    "EvolvedDocument",
    "EvolvedProxy",
    "Expression",
    "load_document",
    "parse_document",
    "parse_expression",
]
