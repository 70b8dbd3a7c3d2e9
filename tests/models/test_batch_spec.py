"""Fields of a probe batch of any name, as users give them."""

from typing import Any

import pytest

from models import InputError, Task, get_space
from models.batch_spec import BatchSpec, SyntheticSpec, make_batch_spec
from models.gcn_nas.task import SkeletonTask

TASK = get_space("gcn-nas").task


class OneField(SkeletonTask):
    """A task of a plug-in with one field, in a signature that a field named `self` would collide with."""

    def batch_spec(self, batch_size: int = 4) -> BatchSpec:  # type: ignore[override]
        return SyntheticSpec.parse({"batch_size": batch_size})


class AnyField(SkeletonTask):
    """A task of a plug-in that leaves the fields to the specification."""

    def batch_spec(self, **fields: Any) -> BatchSpec:
        return SyntheticSpec.parse(fields)


@pytest.mark.parametrize("kind", [SkeletonTask, OneField, AnyField])
def test_a_field_named_self_is_refused(kind: type[Task]) -> None:
    with pytest.raises(InputError) as refused:
        make_batch_spec(kind(TASK.skeleton, TASK.num_persons, TASK.num_outputs), {"self": 1})  # type: ignore[call-arg]
    assert "self" in str(refused.value)


def test_unknown_fields_are_refused_and_known_ones_are_passed() -> None:
    task = OneField(TASK.skeleton, TASK.num_persons, TASK.num_outputs)
    with pytest.raises(InputError, match=r"^colour: got 3"):
        make_batch_spec(task, {"colour": 3})
    assert make_batch_spec(task, {"batch_size": 2}) == SyntheticSpec.parse({"batch_size": 2})
