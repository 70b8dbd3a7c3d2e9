"""Skeleton graphs: joints, the links between them, and the adjacency that graph convolutions use."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import UnknownNameError


@dataclass(frozen=True)
class Skeleton:
    """A tree of joints.

    Attributes:
        name: how users ask for it.
        joints: number of joints V.
        links: pairs (child, parent), counted from 1 as in the sensors' manuals.
    """

    name: str
    joints: int
    links: tuple[tuple[int, int], ...]

    def adjacency(self) -> NDArray[np.float32]:
        """The three-subset adjacency, shape (3, V, V): identity, inward links, outward links.

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
SKELETONS = {skeleton.name: skeleton for skeleton in (NTU, KINECT)}


def get_skeleton(name: str) -> Skeleton:
    """The skeleton of that name. Raises `UnknownNameError`."""
    if name not in SKELETONS:
        raise UnknownNameError("skeleton", name, tuple(SKELETONS))
    return SKELETONS[name]
