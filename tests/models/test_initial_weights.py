"""Initial weights are those of their own generator, whatever was built before."""

import zlib

import pytest
import torch

from models import initial_weights
from models.initial_weights import fill_normal, fill_uniform


@pytest.fixture(autouse=True)
def _nothing_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initial_weights, "_cached", {})


def _filled(seed: int, name: str, shape: tuple[int, ...] = (8, 4), std: float = 0.5) -> torch.Tensor:
    tensor = torch.empty(shape)
    fill_normal(tensor, std, seed, name)
    return tensor


def test_numbers_come_from_a_generator_of_seed_and_name() -> None:
    generator = torch.Generator().manual_seed(zlib.crc32(b"3/l1.weight"))
    expected = torch.empty(8, 4).normal_(0.0, 0.5, generator=generator)
    for _ in range(2):  # sampled, then cached
        assert _filled(3, "l1.weight").equal(expected)
    assert not _filled(4, "l1.weight").equal(expected)
    assert not _filled(3, "l2.weight").equal(expected)
    assert not _filled(3, "l1.weight", std=1.0).equal(expected)
    uniform = torch.empty(8, 4)
    fill_uniform(uniform, 0.5, 3, "l1.weight")
    assert uniform.abs().max() <= 0.5
    assert not uniform.equal(expected)


def test_precision_and_shape_are_told_apart() -> None:
    double = torch.empty(8, 4, dtype=torch.float64)
    fill_normal(double, 0.5, 0, "w")
    single, flat = _filled(0, "w"), _filled(0, "w", (32,))
    assert not single.double().equal(double)
    assert (single.shape, flat.shape) == ((8, 4), (32,))


def test_a_filled_tensor_is_a_copy() -> None:
    first = _filled(0, "w")
    expected = first.clone()
    first.zero_()
    assert _filled(0, "w").equal(expected)


def test_inference_mode_leaves_no_trace() -> None:
    with torch.inference_mode():
        _filled(0, "w")
    weight = torch.nn.Parameter(_filled(0, "w"))
    (gradient,) = torch.autograd.grad((weight**2).sum(), weight)
    assert gradient.equal(2 * weight.detach())


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initial_weights, "MAX_CACHED_BYTES", 300)
    expected = [_filled(0, str(i)) for i in range(5)]  # 128 bytes each
    large = _filled(0, "large", (10, 10))
    assert sum(tensor.nbytes for tensor in initial_weights._cached.values()) <= 300
    assert [_filled(0, str(i)).tolist() for i in range(5)] == [tensor.tolist() for tensor in expected]
    assert _filled(0, "large", (10, 10)).equal(large)
