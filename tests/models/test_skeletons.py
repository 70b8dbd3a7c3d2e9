"""Custom skeletons."""

import json
from typing import Any

import pytest

from models import InputError, get_space
from models.gcn_nas.batches import synthetic_batch
from models.gcn_nas.skeletons import KINECT, NTU, Skeleton

HAND = Skeleton("hand", 6, ((2, 1), (3, 1), (4, 1), (5, 4), (6, 5)))


@pytest.mark.parametrize("skeleton", [HAND, NTU, KINECT], ids=lambda skeleton: skeleton.name)
def test_a_space_of_any_skeleton(skeleton: Skeleton) -> None:
    space: Any = get_space("gcn-nas", skeleton=skeleton, num_persons=1, num_classes=3)
    reconstructed = get_space("gcn-nas", **json.loads(json.dumps(space.settings)))
    assert reconstructed.task.skeleton == skeleton
    batch = synthetic_batch(space.task, batch_size=2, frames=4)
    assert space.build(space.parse([["L2", "S"]] * 4))(batch.x).shape == (2, 3)


@pytest.mark.parametrize(
    ("skeleton", "message"),
    [
        ({"name": "x", "joints": 3}, "name, joints and links"),
        ({"name": "x", "joints": 3, "links": [1, 2]}, "name, joints and links"),
        ({"name": "x", "joints": 3, "links": [[1, 2], [1, 3]]}, "at most once a child"),
        ({"name": "x", "joints": 3, "links": [[2, 1], [3, 4]]}, "each joint from 1 to 3"),
        ({"name": "x", "joints": 3, "links": [[2, 1]]}, "exactly one joint"),
        ({"name": "x", "joints": 4, "links": [[2, 1], [3, 4], [4, 3]]}, "no cycles"),
        ({"name": "x", "joints": 10**9, "links": []}, "a whole number from 1 to 1000"),
        ({"name": "x", "joints": 0, "links": []}, "a whole number from 1 to 1000"),
        ({"name": "x", "joints": float("inf"), "links": []}, "name, joints and links"),
        (None, "one of ntu, kinect, or name, joints and links"),
        ([1], "one of ntu, kinect, or name, joints and links"),
    ],
)
def test_links_that_form_no_tree_are_refused(skeleton: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get_space("gcn-nas", skeleton=skeleton)
