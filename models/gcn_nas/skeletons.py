"""Skeleton graphs: joints, links and the adjacency of graph convolutions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class Skeleton:
    """A tree of joints.

    Attributes:
        name: name, as in `get_skeleton`.
        joints: number of joints V.
        links: pairs (child, parent), counted from 1 as in the sensors' documentation.
    """

    name: str
    joints: int
    links: tuple[tuple[int, int], ...]

    @property
    def setting(self) -> str | dict[str, Any]:
        """Argument of `get_skeleton` that reconstructs the skeleton, as plain JSON."""
        if SKELETONS.get(self.name) == self:
            return self.name
        return {"name": self.name, "joints": self.joints, "links": [list(link) for link in self.links]}

    def adjacency(self) -> NDArray[np.float32]:
        """Return the three-subset adjacency, (3, V, V): identity, inward links, outward links.

        A link (i, j) sets `[j, i]` in the inward matrix and `[i, j]` in the outward one; the columns of both are
        divided by their sums (Yan et al. 2018, "Spatial Temporal Graph Convolutional Networks", spatial partition;
        as in Peng et al. 2020).
        """
        inward = np.zeros((self.joints, self.joints))
        for child, parent in self.links:
            inward[parent - 1, child - 1] = 1.0
        stack = [np.eye(self.joints)]
        for matrix in (inward, inward.T):
            total = matrix.sum(axis=0)
            stack.append(matrix / np.where(total > 0, total, 1.0))
        return np.stack(stack).astype(np.float32)


# fmt: off
NTU = Skeleton(
    "ntu", 25,
    (
        (1, 2), (2, 21), (3, 21), (4, 3), (5, 21), (6, 5), (7, 6), (8, 7), (9, 21), (10, 9), (11, 10), (12, 11),
        (13, 1), (14, 13), (15, 14), (16, 15), (17, 1), (18, 17), (19, 18), (20, 19), (22, 23), (23, 8), (24, 25),
        (25, 12),
    ),
)
KINECT = Skeleton(
    "kinect", 20,
    (
        (1, 2), (2, 3), (4, 3), (5, 3), (6, 5), (7, 6), (8, 7), (9, 3), (10, 9), (11, 10), (12, 11), (13, 1),
        (14, 13), (15, 14), (16, 15), (17, 1), (18, 17), (19, 18), (20, 19),
    ),
)
# fmt: on
MAX_JOINTS = 1000
"""Bounds the memory of an adjacency, which is quadratic in the joints."""
SKELETONS = {skeleton.name: skeleton for skeleton in (NTU, KINECT)}


def get_skeleton(skeleton: str | Skeleton | Mapping[str, Any]) -> Skeleton:
    """Return a skeleton.

    Args:
        skeleton: name of a built-in skeleton, or a custom one as an object or as `{"name", "joints", "links"}`.

    Returns:
        The skeleton, whose links form a tree.

    Raises:
        UnknownNameError: no skeleton has this name.
        InputError: the fields are malformed, or the links form no tree.
    """
    if isinstance(skeleton, str):
        if skeleton not in SKELETONS:
            raise UnknownNameError("skeleton", skeleton, tuple(SKELETONS))
        return SKELETONS[skeleton]
    if isinstance(skeleton, Mapping):
        try:
            links = tuple((int(child), int(parent)) for child, parent in skeleton["links"])
            skeleton = Skeleton(str(skeleton["name"]), int(skeleton["joints"]), links)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError("skeleton", skeleton, "name, joints and links, a list of pairs (child, parent)") from error
    if not isinstance(skeleton, Skeleton):
        raise InputError("skeleton", skeleton, f"one of {', '.join(SKELETONS)}, or name, joints and links")
    _check_tree(skeleton)
    return skeleton


def _check_tree(skeleton: Skeleton) -> None:
    """Raise `InputError` unless the links form a tree: one joint without a parent, from which all others descend."""
    if not 1 <= skeleton.joints <= MAX_JOINTS:
        raise InputError("skeleton (joints)", skeleton.joints, f"a whole number from 1 to {MAX_JOINTS}")
    parent_of = dict(skeleton.links)
    joints = set(range(1, skeleton.joints + 1))
    if len(parent_of) != len(skeleton.links) or not set(parent_of) | set(parent_of.values()) <= joints:
        allowed = f"each joint from 1 to {skeleton.joints} at most once a child"
        raise InputError("skeleton (links)", skeleton.links, allowed)
    reached = joints - set(parent_of)
    if len(reached) != 1:
        raise InputError("skeleton (links)", skeleton.links, "exactly one joint that is nobody's child")
    while new := {child for child, parent in skeleton.links if parent in reached} - reached:
        reached |= new
    if reached != joints:
        raise InputError("skeleton (links)", skeleton.links, "no cycles: every joint hangs on the root")
