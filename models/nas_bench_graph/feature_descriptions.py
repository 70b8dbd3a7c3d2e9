"""Descriptions of structural features, and the parts of an architecture that they describe."""

import re
from functools import cache

from common.errors import UnknownNameError
from models.nas_bench_graph.architecture import NasBenchGraphArchitecture
from models.nas_bench_graph.features import FEATURE_NAMES

KINDS = {
    "sum": "sum aggregators (gin, graph)",
    "mean": "mean aggregators (sage)",
    "attention": "attention layers (gat)",
    "normalized": "normalized aggregators (gcn, cheb, arma)",
    "message": "layers that pass messages",
    "root": "layers with a weight for the node itself (cheb, sage, arma, graph)",
    "fc": "layers without messages (fc)",
}
"""Kinds of operations in words."""
DESCRIPTIONS: tuple[tuple[str, str], ...] = (
    (r"link=(\d)", r"having topology \1"),
    (r"node(\d)\.(\w+)", r"\2 in node \1"),
    (r"all\.(\w+)", r"number of \1 nodes"),
    (r"leaf\.(\w+)", r"number of \1 leaves"),
    (r"input\.(\w+)", r"number of \1 nodes that read the cell's input"),
    (r"depth(\d)\.(\w+)", r"number of \2 nodes at depth \1"),
    (r"pair\.(\w+)\.(\w+)", r"number of \2 nodes that read a \1 node"),
    *((rf"{kind}\.nodes", f"number of {words}") for kind, words in KINDS.items()),
    *((rf"{kind}\.path_max", f"most {words} on a path to a leaf") for kind, words in KINDS.items()),
    *((rf"{kind}\.path_min", f"fewest {words} on a path to a leaf") for kind, words in KINDS.items()),
    *((rf"{kind}\.path_mean", f"mean number of {words} on a path to a leaf") for kind, words in KINDS.items()),
    (r"depth", "depth (most operations on a path to a leaf, skips left out)"),
    (r"depth_min", "fewest operations on a path to a leaf, skips left out"),
    (r"depth_mean", "mean number of operations on a path to a leaf, skips left out"),
    (r"leaves", "number of leaves"),
    (r"inputs", "number of operations that read the cell's input"),
    (r"leading_skips", "number of skips in front"),
    (r"leaf_skips", "number of skip leaves in all"),
)
"""Patterns of feature names and their descriptions."""
PARTS: tuple[tuple[str, str], ...] = (
    (r"link=.*", "topology"),
    (r"node(\d)\..*", r"node \1"),
    (r"leaf\..*", "leaves"),
    (r"input\..*", "nodes that read the cell's input"),
    (r"depth(\d)\..*", r"nodes at depth \1"),
    (r"pair\..*", "pairs of nodes"),
    (r"all\..*|\w+\.nodes", "numbers of operations"),
    (r"\w+\.path_\w+", "paths to the leaves"),
    (r".*", "shape of the cell"),
)
"""Patterns of feature names and the part of the architecture that they describe."""


def describe_feature(feature: str) -> str:
    """Return the description of a structural feature.

    Raises:
        UnknownNameError: there is no such feature.
    """
    if feature in FEATURE_NAMES:
        for pattern, description in DESCRIPTIONS:
            if match := re.fullmatch(pattern, feature):
                return match.expand(description)
    raise UnknownNameError("feature", feature, FEATURE_NAMES)


def feature_group(arch: NasBenchGraphArchitecture, feature: str) -> str:
    """Return the part of an architecture that a feature describes; a node with its operation."""
    part = _part(feature)
    return f"{part} ({arch.ops[int(part[-1]) - 1]})" if part.startswith("node ") else part


@cache
def _part(feature: str) -> str:
    return next(match.expand(name) for pattern, name in PARTS if (match := re.fullmatch(pattern, feature)))
