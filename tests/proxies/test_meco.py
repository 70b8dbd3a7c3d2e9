"""meco and meco_opt against NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from proxies import score
from proxies.base import Need, NotApplicableError
from proxies.meco import Meco, smallest_eigenvalue
from proxies.meco_opt import MecoOpt
from proxies.passes.random_input import RandomInputPass, UnitOutput


class Toy(nn.Module):
    """Two units, of 16 and of 5 channels, in containers that must not count."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 16, 1), nn.BatchNorm2d(16)), nn.Sequential(nn.Conv2d(16, 5, 1), nn.ReLU())
        )
        self.fc = nn.Linear(5, 4)

    @property
    def units(self) -> Any:
        return self.body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.body(x).mean((2, 3)))
        return logits


X = torch.randn(4, 3, 6, 7, generator=torch.Generator().manual_seed(0))
Y = torch.arange(4)


@pytest.fixture
def toy() -> Toy:
    torch.manual_seed(0)
    return Toy()


def maps(toy: Toy, seed: int) -> list[Any]:
    """Return each unit's feature map of the random sample, (channels, positions)."""
    x = torch.randn(1, 3, 6, 7, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        first = toy.body[0](x)
        return [first[0].flatten(1).double().numpy(), toy.body[1](first)[0].flatten(1).double().numpy()]


def lowest(rows: Any) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.linalg.eigvalsh(np.nan_to_num(np.corrcoef(rows)))[0])


def test_meco_equals_numpy(toy: Toy) -> None:
    expected = sum(lowest(rows) for rows in maps(toy, seed=2))
    assert score(toy, X, Y, ["meco"], seed=2)["meco"].value == pytest.approx(expected, rel=1e-5)


def test_meco_opt_equals_numpy_on_the_sampled_channels(toy: Toy) -> None:
    wide, narrow = maps(toy, seed=2)
    sampled = torch.randperm(16, generator=torch.Generator().manual_seed(2))[:8].numpy()
    expected = 16 / 8 * lowest(wide[sampled]) + lowest(narrow)
    assert score(toy, X, Y, ["meco_opt"], seed=2)["meco_opt"].value == pytest.approx(expected, rel=1e-5)


def test_only_the_shape_of_the_batch_matters(toy: Toy) -> None:
    names = ["meco", "meco_opt"]
    ours, other = score(toy, X, Y, names), score(toy, 5 * X[:2], Y[:2], names)
    assert [s.value for s in ours.values()] == [s.value for s in other.values()]


def test_both_share_one_forward_pass(toy: Toy) -> None:
    assert Meco.info.needs == MecoOpt.info.needs <= RandomInputPass.provides


def test_constant_channels_and_too_many_channels_give_zero() -> None:
    rows = torch.randn(3, 20, generator=torch.Generator().manual_seed(0))
    rows[1] = 0
    assert smallest_eigenvalue(rows) == pytest.approx(0, abs=1e-12)
    assert smallest_eigenvalue(torch.randn(9, 6)) == pytest.approx(0, abs=1e-12)
    assert smallest_eigenvalue(rows[:1]) == 1


def test_what_is_not_finite_is_a_failure() -> None:
    rows = torch.tensor([[1.0, 2.0, 3.0], [float("nan"), 0.0, 1.0]])
    with pytest.raises(ArithmeticError, match="not finite"):
        Meco().compute({Need.UNIT_OUTPUTS: [UnitOutput(rows, torch.arange(2))]})


REASON = "at least as many channels as positions"


@pytest.mark.parametrize("channels", [6, 9])
def test_singular_correlations_alone_are_not_applicable(channels: int) -> None:
    maps = [torch.randn(channels, 6, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    units = [UnitOutput(features, torch.arange(min(channels, 8))) for features in maps]
    for proxy in (Meco(), MecoOpt()):
        with pytest.raises(NotApplicableError, match=REASON):
            proxy.compute({Need.UNIT_OUTPUTS: units})


def test_a_singular_correlation_adds_nothing_to_others() -> None:
    wide, narrow = (torch.randn(c, 6, generator=torch.Generator().manual_seed(c)) for c in (7, 3))
    units = [UnitOutput(features, torch.arange(len(features))) for features in (wide, narrow)]
    for proxy in (Meco(), MecoOpt()):
        assert proxy.compute({Need.UNIT_OUTPUTS: units}) == pytest.approx(lowest(narrow.numpy()), rel=1e-5)


def test_sampled_channels_may_be_fewer_than_positions() -> None:
    """16 channels of 12 positions are singular, and 8 of them are not."""
    features = torch.randn(16, 12, generator=torch.Generator().manual_seed(0))
    units = {Need.UNIT_OUTPUTS: [UnitOutput(features, torch.arange(8))]}
    with pytest.raises(NotApplicableError, match=REASON):
        Meco().compute(units)
    assert MecoOpt().compute(units) == pytest.approx(2 * lowest(features[:8].numpy()), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linearly_dependent_channels_alone_are_not_applicable(toy: Toy, dtype: torch.dtype) -> None:
    """16 combinations of the 3 channels of the data."""
    toy.body, toy.fc = toy.body[:1], nn.Linear(16, 4)  # type: ignore[assignment]
    for result in score(toy.to(dtype), X.to(dtype), Y, ["meco", "meco_opt"]).values():
        assert (result.status, result.value) == ("not_applicable", None)
        assert "depend linearly" in str(result.note)


def test_a_small_eigenvalue_is_no_rounding() -> None:
    rows = torch.randn(2, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows[1] = rows[0] + 1e-5 * rows[1]
    expected = lowest(rows.numpy())
    assert expected == pytest.approx(5e-11, rel=0.9)
    assert Meco().compute({Need.UNIT_OUTPUTS: [UnitOutput(rows, torch.arange(2))]}) == pytest.approx(expected, rel=1e-3)
