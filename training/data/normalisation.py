"""Position and orientation of motion, (…, C, T, V, M)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HIP, SPINE, LEFT_SHOULDER, RIGHT_SHOULDER = 0, 1, 4, 8
"""Joints of the built-in skeletons, counted from 0."""
MAX_ANGLE = 0.3
"""Largest angle of the random rotation, in radians, as in the public code of CTR-GCN (Chen et al., ICCV 2021)."""


def normalise(sequence: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move the first person's spine to the origin in each frame, and turn all frames by the pose of the first.

    The turn takes the line from hip to spine to the z axis, then the line from left to right shoulder to the x axis, as
    the public benchmark's data are made (Shi et al., CVPR 2019). Persons and joints that are all zero stay so.

    Args:
        sequence: (C, T, V, M).

    Returns:
        (C, T, V, M).
    """
    present = (sequence != 0).any(axis=0, keepdims=True)
    moved = np.where(present, sequence - sequence[:, :, SPINE : SPINE + 1, :1], 0).astype(np.float64)
    for first, second, axis in ((HIP, SPINE, (0.0, 0.0, 1.0)), (LEFT_SHOULDER, RIGHT_SHOULDER, (1.0, 0.0, 0.0))):
        bone = moved[:, 0, second, 0] - moved[:, 0, first, 0]
        moved = np.einsum("dc,ctvm->dtvm", rotation_onto(bone, np.array(axis)), moved)
    return moved.astype(np.float32)


def rotation_onto(vector: NDArray[np.float64], axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest rotation, (3, 3), that takes a vector to the direction of an axis of length 1; none for no direction."""
    length = float(np.linalg.norm(vector))
    if length == 0 or not np.isfinite(length):
        return np.eye(3)
    unit = vector / length
    cosine = float(unit @ axis)
    if cosine <= -1 + 1e-12:  # half a turn, about any perpendicular
        perpendicular = np.cross(axis, np.eye(3)[int(np.argmin(np.abs(axis)))])
        return np.asarray(2 * np.outer(perpendicular, perpendicular) / (perpendicular @ perpendicular) - np.eye(3))
    x, y, z = np.cross(unit, axis)
    cross_product = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + cross_product + cross_product @ cross_product / (1 + cosine))


def rotate(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Rotate each sample, (N, C, T, V, M), about x, y and z by random angles from −0.3 to 0.3 radians."""
    angles = torch.from_numpy(rng.uniform(-MAX_ANGLE, MAX_ANGLE, (len(x), 3)))
    (cx, cy, cz), (sx, sy, sz) = angles.cos().T, angles.sin().T
    one, zero = torch.ones_like(cx), torch.zeros_like(cx)
    about_x = torch.stack([one, zero, zero, zero, cx, -sx, zero, sx, cx], dim=1)
    about_y = torch.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], dim=1)
    about_z = torch.stack([cz, -sz, zero, sz, cz, zero, zero, zero, one], dim=1)
    turns = [matrix.view(-1, 3, 3) for matrix in (about_z, about_y, about_x)]
    rotation = (turns[0] @ turns[1] @ turns[2]).to(x.dtype)
    return torch.einsum("ndc,nctvm->ndtvm", rotation, x)
