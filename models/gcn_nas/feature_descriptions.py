"""Descriptions of structural features."""

import re

from common.errors import UnknownNameError
from models.gcn_nas.features import FEATURE_NAMES

FIXED = "fixed-graph modules"
DESCRIPTIONS: tuple[tuple[str, str], ...] = (
    (r"depth", "number of layers"),
    (r"depth=(\d+)", r"having \1 layers"),
    (r"slot(\d+)\.([A-Z]\w*)", r"module \2 in slot \1"),
    (r"stage(\d)\.([A-Z]\w*)", r"share of stage \1's layers with \2"),
    (r"slot(\d+)\.fixed=(\d)", rf"having \2 {FIXED} in slot \1"),
    (r"slot(\d+)\.subset(\d)\.(\w+)", r"\3 of the graph of slot \1, subset \2"),
    (r"fixed\.slot(\d+)", rf"{FIXED} in slot \1"),
    (r"dynamic\.slot(\d+)", r"attention modules in slot \1"),
    (r"network\.([A-Z]\w*)", r"share of layers with \1"),
    (r"network\.([A-Z]\w*)\.neighbours", r"share of adjacent layers that both have \1"),
    (r"network\.fixed\.mean", f"{FIXED} per layer"),
    (r"network\.fixed\.min", f"fewest {FIXED} in a layer"),
    (r"network\.fixed\.max", f"most {FIXED} in a layer"),
    (r"network\.fixed\.variance", f"variance of {FIXED} over the layers"),
    (r"network\.fixed\.none", f"share of layers without {FIXED}"),
    (r"network\.fixed\.(first|last)(\d)", rf"{FIXED} per layer in the \1 \2"),
    (r"network\.dynamic\.mean", "attention modules per layer"),
    (r"network\.fixed\.change", f"change of {FIXED} from layer to layer"),
    (r"network\.fixed\.neighbours", f"mean product of adjacent layers' {FIXED}"),
    (r"network\.fixed\.slope", f"growth of {FIXED} per layer"),
    (r"network\.fixed\.dynamic", f"mean product of a layer's {FIXED} and attention modules"),
    (r"network\.fixed\.few", f"share of layers with at most one of the {FIXED}"),
    (r"network\.fixed\.many", f"share of layers with four or five of the {FIXED}"),
    (r"network\.fixed\.last(\d)_min", rf"fewest {FIXED} in one of the last \1 layers"),
    (r"stage(\d)\.fixed\.mean", rf"{FIXED} per layer in stage \1"),
    (r"stage(\d)\.fixed\.min", rf"fewest {FIXED} in a layer of stage \1"),
    (r"stage(\d)\.fixed\.max", rf"most {FIXED} in a layer of stage \1"),
    (r"stage(\d)\.dynamic\.mean", r"attention modules per layer in stage \1"),
)
"""Patterns of feature names and their descriptions."""


def describe_feature(feature: str) -> str:
    """Return the description of a structural feature.

    Raises:
        UnknownNameError: there is no such feature.
    """
    for pattern, description in DESCRIPTIONS:
        if match := re.fullmatch(pattern, feature):
            return match.expand(description)
    raise UnknownNameError("feature", feature, FEATURE_NAMES)
