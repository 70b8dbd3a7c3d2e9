"""Network around the cells: stem, three stages of cells, residual blocks between them, classifier."""

from dataclasses import dataclass

WIDTHS = (16, 32, 64)
"""Channels of each stage."""
CELLS_PER_STAGE = 5
CHANNELS = 3
"""Channels of an image."""


@dataclass(frozen=True)
class Dataset:
    """Data set of the benchmark.

    Attributes:
        title: name in publications.
        size: height and width of an image, in pixels.
        num_classes: number of classes.
        column: column of the accuracy in the benchmark's tables.
    """

    title: str
    size: int
    num_classes: int
    column: str


DATASETS = {
    "cifar10": Dataset("CIFAR-10", 32, 10, "c10"),
    "cifar100": Dataset("CIFAR-100", 32, 100, "c100"),
    "imagenet16-120": Dataset("ImageNet16-120", 16, 120, "in16"),
}
