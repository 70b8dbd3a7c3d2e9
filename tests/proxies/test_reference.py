"""Scores against those of the published framework, on the six reference architectures."""

from typing import Any

import pytest
import torch

from models import get_space
from proxies import proxy_names, score
from tests.conftest import REFERENCES, fill_as_reference, reference_id

EXACT = [name for name in proxy_names() if name in REFERENCES[0]["proxies"] and name != "flops"]


@pytest.mark.parametrize("reference", REFERENCES, ids=reference_id)
def test_scores_agree_with_the_reference(space: Any, reference: Any, reference_input: torch.Tensor) -> None:
    network = space.build(space.parse(reference["mask"]))
    fill_as_reference(network)
    ours = score(network, reference_input, torch.tensor(reference["labels"]), repeats=1)
    assert {name for name, s in ours.items() if s.status == "ok"} == set(ours)
    for name in EXACT:
        # Without batch norm, deep networks amplify rounding.
        loose = name in ("epe_nas", "grad_sign") and len(reference["mask"]) >= 8
        assert ours[name].value == pytest.approx(reference["proxies"][name], rel=3e-2 if loose else 1e-3), name


def test_flops_rank_as_the_reference_does() -> None:
    """Our count includes attention and graph products, and no normalisation, so that only the order must agree."""
    space = get_space("gcn-nas")
    ours = [space.cost(space.parse(r["mask"]), ((4, 3, 16, 25, 2),)).flops for r in REFERENCES]
    published = [r["proxies"]["flops"] for r in REFERENCES]
    assert sorted(range(6), key=ours.__getitem__) == sorted(range(6), key=published.__getitem__)


def test_zen_is_at_the_published_level(space: Any, batch: Any, benchmark_folder: Any) -> None:
    """Zen samples its own weights: its level and its slope with depth must agree at the published batch shape."""
    import json
    import math

    for reference in REFERENCES:
        file = benchmark_folder / "data" / f"{reference['published_hash']}.json"
        (entry,) = json.loads(file.read_text()).values()
        network = space.build(space.parse(reference["mask"]))
        ours = score(network, batch.x, batch.y, ["zen"])["zen"].value
        assert ours is not None
        frames = math.log(300 / batch.x.shape[2])  # the difference is summed over frames
        assert ours + frames == pytest.approx(entry["zero_cost_scores"]["zen"]["score"], abs=1.5)
