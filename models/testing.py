"""Contract of search spaces as a pytest class, for built-in spaces and plug-ins.

Example:
    >>> from models import get_space
    >>> from models.testing import SearchSpaceContract
    >>> class TestGcnNas(SearchSpaceContract):
    ...     space = get_space("gcn-nas")
"""

import copy
import json
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice, pairwise
from typing import Any, ClassVar, TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.errors import ArchitectureError, BatchError, CapabilityError, InputError, UnknownNameError
from models.base import (
    CAPABILITIES,
    Architecture,
    BuildableSpace,
    CostedSpace,
    EditableSpace,
    EncodedSpace,
    SearchSpace,
    capabilities,
    require,
)
from models.protocols import HasFlops

MAX_ERROR_LENGTH = 1000
"""Maximum length of an error message in characters."""
MAX_NEIGHBORS = 300
"""Number of neighbors that the tests look at."""
GARBAGE: tuple[Any, ...] = (None, True, 3.5, math.nan, 10**40, "", "\0", b"", [], [[[]]], {}, {"nonsense": 1}, object())
"""Values that are an architecture in no space."""
REPLACEMENTS: tuple[Any, ...] = (*GARBAGE, 0, 1, -1, 1e308, "x" * 5000, [0] * 5000, [{}] * 3, {"": [None]})
"""Values that the fuzz test writes into architectures."""
SpaceT = TypeVar("SpaceT", bound=SearchSpace[Any])


class SearchSpaceContract:
    """Tests that every search space passes; those of capabilities that it does not have are skipped.

    Subclass it in a test module under a name that begins with `Test`, and set `space`.

    Attributes:
        space: the space.
        num_samples: number of architectures that cheap tests draw.
        num_networks: number of networks that tests build.
        num_fuzzed: number of malformed architectures.
    """

    space: ClassVar[SearchSpace[Any]]
    num_samples: ClassVar[int] = 30
    num_networks: ClassVar[int] = 3
    num_fuzzed: ClassVar[int] = 500

    def notations(self, arch: Any) -> list[Any]:
        """Return every way to write an architecture; override it if `parse` reads more than `to_json` writes."""
        return []

    @pytest.fixture
    def samples(self) -> list[Any]:
        """Architectures of the sampling distribution."""
        rng = np.random.default_rng(0)
        return [self.space.sample(rng) for _ in range(self.num_samples)]

    # Every space

    def test_names_settings_and_description_are_plain_json(self) -> None:
        space = self.space
        assert space.name, "the space has no name"
        assert json.loads(json.dumps(space.settings)) == space.settings
        assert type(space)(**space.settings).settings == space.settings, "the settings reconstruct the space"
        assert json.loads(json.dumps(space.describe()))["name"] == space.name
        assert json.loads(json.dumps(space.json_schema())) == space.json_schema()
        with pytest.raises((InputError, TypeError)):
            type(space)(**{**space.settings, "no_such_setting": 1})

    def test_samples_are_seeded_and_without_warnings(self, samples: list[Any]) -> None:
        with _untouched_random_state():
            rng = np.random.default_rng(0)
            again = [self.space.sample(rng) for _ in samples]
        assert again == samples, "the same seed gives the same architectures"
        assert len(set(samples)) > 1, "all samples are equal"
        for arch in samples:
            assert self.space.warnings(arch) == [], "a sample is outside the sampling distribution's support"
        with pytest.raises(InputError):
            self.space.sample(rng, no_such_property=1)

    def test_presets_are_architectures(self) -> None:
        for preset in self.space.presets.values():
            self._check_round_trip(self.space.parse(preset))

    def test_an_architecture_is_written_and_read(self, samples: list[Any]) -> None:
        for arch in samples:
            self._check_round_trip(arch)
            for notation in self.notations(arch):
                for obj in (notation, json.loads(json.dumps(notation))):
                    assert self.space.parse(obj) == arch, f"{obj!r} is read as another architecture"

    def test_fingerprints_identify_architectures(self, samples: list[Any]) -> None:
        for first, second in pairwise(samples):
            assert (first == second) == (first.key == second.key) == (first.fingerprint == second.fingerprint)
            assert (first == second) == (self.space.to_json(first) == self.space.to_json(second))
            assert len(first.fingerprint) == 32

    def test_the_json_schema_accepts_architectures_and_refuses_garbage(self, samples: list[Any]) -> None:
        schema = self._schema()
        for arch in samples:
            written = self.space.to_json(arch)
            objects = [written, *(notation for notation in self.notations(arch) if isinstance(notation, dict))]
            for obj in objects:
                assert schema.is_valid(json.loads(json.dumps(obj))), f"{obj!r} does not match the JSON Schema"
            assert not schema.is_valid({**written, "no_such_field": 1}), "the JSON Schema allows unknown fields"
            assert not schema.is_valid({**written, "space": "another-space"}), "the JSON Schema allows another space"
        garbage: Any
        for garbage in (None, True, 3.5, [[[]]], {}, {"nonsense": 1}, {"space": self.space.name}):
            assert not schema.is_valid(garbage), f"{garbage!r} matches the JSON Schema"

    def test_the_json_schema_accepts_whatever_is_read(self, samples: list[Any]) -> None:
        schema, rng = self._schema(), random.Random(1)
        for i in range(self.num_fuzzed):
            arch = samples[i % len(samples)]
            obj = _with_one_change(rng.choice([self.space.to_json(arch), *self.notations(arch)]), rng)
            with suppress(ArchitectureError, TypeError, ValueError):
                self.space.parse(obj)
                obj = json.loads(json.dumps(obj, allow_nan=False))
                assert not isinstance(obj, dict) or schema.is_valid(obj), f"{obj!r} does not match the JSON Schema"

    def test_garbage_raises_an_error_that_names_the_field(self, samples: list[Any]) -> None:
        written = self.space.to_json(samples[0])
        wrong = [{**written, "space": "another-space"}, {**written, "no_such_field": 1}, {"space": self.space.name}]
        for obj in (*GARBAGE, *wrong):
            with pytest.raises(ArchitectureError) as caught:
                self.space.parse(obj)
            _check_error(caught.value)

    def test_a_malformed_architecture_is_read_or_raises_an_error_that_names_the_field(self, samples: list[Any]) -> None:
        rng = random.Random(0)
        for i in range(self.num_fuzzed):
            arch = samples[i % len(samples)]
            obj = _with_one_change(rng.choice([self.space.to_json(arch), *self.notations(arch)]), rng)
            try:
                parsed = self.space.parse(obj)
            except ArchitectureError as error:
                _check_error(error)
            else:
                self._check_round_trip(parsed)

    def test_what_the_space_cannot_do_is_a_capability_error(self) -> None:
        for name, capability in CAPABILITIES.items():
            if name in capabilities(self.space):
                assert require(self.space, capability) is self.space
            else:
                with pytest.raises(CapabilityError, match=self.space.name):
                    require(self.space, capability)

    # Spaces with networks

    def test_the_task_gives_a_seeded_batch_that_fits_it(self) -> None:
        task = self._space_with(BuildableSpace).task
        with _untouched_random_state():
            batch = task.synthetic_batch(seed=1)
        assert task.name, "the task has no name"
        assert task.num_outputs >= 1
        assert task.metric.low < task.metric.high
        task.check(batch)
        assert batch.x.dtype == torch.float32
        assert batch.sample_axis == task.sample_axis
        assert {tensor.device.type for tensor in batch.tensors.values()} == {"cpu"}
        assert batch.shapes == task.input_shapes(), "input_shapes are those of the default batch"
        assert batch.fingerprint == task.synthetic_batch(seed=1).fingerprint, "the same seed gives the same batch"
        assert batch.fingerprint != task.synthetic_batch(seed=2).fingerprint, "the batch does not depend on its seed"
        spec = task.batch_spec(seed=1)
        assert spec.make(task).fingerprint == batch.fingerprint, "the default specification is the synthetic batch"
        assert spec.shapes(task) == batch.shapes
        with pytest.raises(BatchError):
            task.synthetic_batch(no_such_size=1)
        with pytest.raises(InputError):
            task.batch_spec(no_such_size=1).make(task)

    def test_a_network_depends_on_architecture_and_seed_alone(self, samples: list[Any]) -> None:
        space = self._space_with(BuildableSpace)
        for arch in samples[: self.num_networks]:
            with _untouched_random_state():
                network = space.build(arch, seed=3)
            assert all(module.training for module in network.modules()), "the network is not in train mode"
            state = network.state_dict()
            assert {tensor.device.type for tensor in state.values()} <= {"cpu"}
            assert {tensor.dtype for tensor in state.values() if tensor.is_floating_point()} <= {torch.float32}
            assert _equal(state, space.build(arch, seed=3).state_dict()), "the same seed gives the same weights"
            assert not _equal(state, space.build(arch, seed=4).state_dict()), "the weights do not depend on the seed"

    def test_a_network_gives_a_finite_output_for_each_row(self, samples: list[Any]) -> None:
        space = self._space_with(BuildableSpace)
        batch = space.task.synthetic_batch()
        for arch in samples[: self.num_networks]:
            output = space.build(arch)(*batch.inputs)
            assert isinstance(output, Tensor)
            assert output.ndim == 2
            assert output.shape[1] == space.task.num_outputs
            assert bool(output.isfinite().all()), "the output is not finite"
            rows = batch.targets if batch.rows is None else batch.rows
            assert len(output) == len(rows) if batch.rows is None else len(output) > int(rows.max())
            parameters = list(space.build(arch).parameters())
            assert parameters, "the network has no parameters"

    def test_samples_along_the_sample_axis_are_independent(self, samples: list[Any]) -> None:
        space = self._space_with(BuildableSpace)
        batch = space.task.synthetic_batch()
        if batch.sample_axis is None:
            pytest.skip(f"the batch of {space.name} has no independent samples")
        for arch in samples[: self.num_networks]:
            network = space.build(arch).eval()
            with torch.no_grad():
                together = network(*batch.inputs).narrow(batch.sample_axis, 0, 1)
                alone = network(*(tensor.narrow(batch.sample_axis, 0, 1) for tensor in batch.inputs))
            assert torch.allclose(together, alone, rtol=1e-3, atol=1e-4), "a sample's output depends on the others"

    # Spaces with costs

    def test_costs_are_those_of_the_network(self, samples: list[Any]) -> None:
        space = self._space_with(CostedSpace)
        for arch in samples:
            cost = space.cost(arch)
            assert isinstance(cost.params, int)
            assert isinstance(cost.flops, int)
            assert cost.params > 0
            assert cost.flops > 0
        if isinstance(self.space, BuildableSpace):
            shapes = self.space.task.input_shapes()
            for arch in samples[: self.num_networks]:
                network = self.space.build(arch)
                assert space.cost(arch, shapes).params == _num_parameters(network)
                if isinstance(network, HasFlops):
                    assert space.cost(arch, shapes).flops == network.flops(shapes)

    def test_no_architecture_has_more_flops_than_the_largest(self, samples: list[Any]) -> None:
        space = self._space_with(CostedSpace)
        self._check_round_trip(space.largest)
        maximum = space.cost(space.largest).flops
        assert all(space.cost(arch).flops <= maximum for arch in samples)

    # Spaces with structural features

    def test_features_are_finite_and_rows_are_independent(self, samples: list[Any]) -> None:
        space = self._space_with(EncodedSpace)
        names = space.feature_names
        values = space.feature_values(samples)
        assert values.shape == (len(samples), len(names))
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
        assert (values != values[0]).any(), "the features do not depend on the architecture"
        for arch, row in zip(samples, values, strict=True):
            assert space.features(arch) == dict(zip(names, row.tolist(), strict=True)), "a row depends on the others"
        assert space.feature_values([]).shape == (0, len(names))
        assert space.feature_version

    def test_every_feature_has_a_name_a_description_and_a_group(self, samples: list[Any]) -> None:
        space = self._space_with(EncodedSpace)
        names = space.feature_names
        assert len(set(names)) == len(names), "two features have the same name"
        descriptions = [space.describe_feature(name) for name in names]
        assert all(descriptions)
        assert len(set(descriptions)) == len(descriptions), "two features have the same description"
        for arch in samples[:8]:
            groups = {space.feature_group(arch, name) for name in names}
            assert all(groups), "a feature has no group"
            assert len(groups) > 1, "all features are in the same group"
        with pytest.raises(UnknownNameError):
            space.describe_feature("no such feature")

    def test_feature_groups_hold_what_they_declare(self, samples: list[Any]) -> None:
        space = self._space_with(EncodedSpace)
        column = {name: i for i, name in enumerate(space.feature_names)}
        values = space.feature_values(samples)
        grouped = [feature for group in space.feature_groups for feature in group.features]
        assert set(grouped) <= set(column), "a group has a feature that the space does not have"
        assert len(set(grouped)) == len(grouped), "a feature is in two groups"
        names = [group.name for group in space.feature_groups]
        assert len(set(names)) == len(names), "two groups have the same name"
        for group in space.feature_groups:
            indicators = values[:, [column[name] for name in (*group.indicators, *group.counts)]]
            assert np.isin(indicators, (0, 1)).all(), f"an indicator or count of {group.name} is not 0 or 1"
            counts = values[:, [column[name] for name in group.counts]]
            assert (counts.sum(1) <= 1).all(), f"two counts of {group.name} are set"
            assert all(math.isfinite(number) for number in group.counts.values())

    def test_the_stratum_is_a_feature_of_whole_numbers(self, samples: list[Any]) -> None:
        space = self._space_with(EncodedSpace)
        assert space.stratum_feature in space.feature_names
        assert space.stratum_label
        strata = space.strata(samples)
        assert strata.dtype == np.int64
        for arch, stratum in zip(samples, strata.tolist(), strict=True):
            assert space.stratum(arch) == stratum == space.features(arch)[space.stratum_feature]

    # Spaces with edits

    def test_mutations_and_crossovers_are_seeded_architectures(self, samples: list[Any]) -> None:
        space = self._space_with(EditableSpace)
        for first, second in pairwise(samples):
            with _untouched_random_state():
                edits = [
                    (space.mutate(first, rng), space.crossover(first, second, rng))
                    for rng in (np.random.default_rng(5), np.random.default_rng(5))
                ]
            assert edits[0] == edits[1], "the same seed gives the same edits"
            mutant, child = edits[0]
            assert mutant != first, "a mutation changes nothing"
            for arch in (mutant, child):
                self._check_round_trip(arch)
                assert space.warnings(arch) == [], "an edit is outside the sampling distribution's support"

    def test_neighbors_differ_and_have_distinct_descriptions(self, samples: list[Any]) -> None:
        space = self._space_with(EditableSpace)
        for arch in samples[:4]:
            neighbors = list(islice(space.neighbors(arch), MAX_NEIGHBORS))
            assert neighbors, "an architecture has no neighbors"
            assert len(set(neighbors)) == len(neighbors), "a neighbor is listed twice"
            assert arch not in neighbors, "an architecture is its own neighbor"
            mutations = [space.describe_mutation(arch, neighbor) for neighbor in neighbors]
            assert all(isinstance(mutation, dict) and mutation for mutation in mutations)
            texts = {json.dumps(mutation, sort_keys=True) for mutation in mutations}
            assert len(texts) == len(neighbors), "two mutations have the same description"
            for neighbor in neighbors:
                self._check_round_trip(neighbor)
                assert space.warnings(neighbor) == [], "a neighbor is outside the sampling distribution's support"

    def _space_with(self, capability: type[SpaceT]) -> SpaceT:
        """Return the space, or skip the test."""
        if not isinstance(self.space, capability):
            pytest.skip(str(CapabilityError(self.space.name, capability.ability)))
        return self.space

    def _schema(self) -> Any:
        return pytest.importorskip("jsonschema_rs").validator_for(self.space.json_schema())

    def _check_round_trip(self, arch: Any) -> None:
        """Check that an architecture is hashable, of this space, and equal to what is read from its JSON text."""
        assert isinstance(arch, Architecture)
        assert arch.space == self.space.name
        written = self.space.to_json(arch)
        assert written["space"] == self.space.name
        again = self.space.parse(json.loads(json.dumps(written)))
        assert again == arch, f"{written!r} is read as another architecture"
        assert (again.key, again.fingerprint, hash(again)) == (arch.key, arch.fingerprint, hash(arch))
        unnamed = {field: value for field, value in written.items() if field != "space"}
        assert self.space.parse(unnamed) == arch, "the name of the space is not optional"


def _check_error(error: ArchitectureError) -> None:
    assert error.field, "the error names no field"
    assert error.allowed, "the error does not say what is allowed"
    assert len(str(error)) <= MAX_ERROR_LENGTH, "the error is too long"


def _with_one_change(obj: Any, rng: random.Random) -> Any:
    """Return a copy in which one entry, at any level, is replaced, removed or added."""
    if not isinstance(obj, dict | list | tuple) or not obj or rng.random() < 0.2:
        return rng.choice(REPLACEMENTS)
    changed: Any = copy.deepcopy(list(obj) if isinstance(obj, tuple) else obj)
    key = rng.choice(list(changed) if isinstance(changed, dict) else range(len(changed)))
    action = rng.random()
    if action < 0.15:
        del changed[key]
    elif action < 0.3 and isinstance(changed, list):
        changed.insert(key, copy.deepcopy(rng.choice((changed[key], *REPLACEMENTS))))
    elif action < 0.3:
        changed["no_such_field"] = changed[key]
    else:
        changed[key] = _with_one_change(changed[key], rng)
    return changed


def _num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@contextmanager
def _untouched_random_state() -> Iterator[None]:
    """Check that the global random states of PyTorch, NumPy and Python stay as they are."""
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]  # noqa: NPY002
    yield
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]  # noqa: NPY002
    assert torch.equal(before[0], after[0]), "PyTorch's global random state is changed"
    assert before[1:] == after[1:], "the global random state of NumPy or Python is changed"
