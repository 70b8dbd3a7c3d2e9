"""The nine data sets of NAS-Bench-Graph: graph, network width and training protocol (Qin et al., NeurIPS 2022).

Widths and layers are those that the published parameter counts prove. Edges are entries of the symmetric adjacency
matrix without its diagonal: both directions of a link count.
"""

from dataclasses import dataclass
from typing import Literal

from common.errors import UnknownNameError

OPERATIONS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
"""Operations in the order of their digits in keys."""
PROTEINS_OPERATIONS = ("gcn", "sage", "arma", "fc", "skip")
"""Operations of the architectures that the benchmark trained on proteins."""


@dataclass(frozen=True)
class Training:
    """Training protocol of a data set: each epoch is one step on the full graph.

    Attributes:
        num_train: labelled nodes for training.
        num_valid: nodes for validation.
        num_test: test nodes, whose metric the benchmark reports.
        optimizer: optimizer.
        learning_rate: learning rate; uncertain for photo, where it lies outside the authors' own grid.
        weight_decay: weight decay.
        epochs: number of epochs.
    """

    num_train: int
    num_valid: int
    num_test: int
    optimizer: Literal["sgd", "adam"]
    learning_rate: float
    weight_decay: float
    epochs: int


@dataclass(frozen=True)
class Dataset:
    """Settings of a data set.

    Attributes:
        name: name in the benchmark.
        num_nodes: nodes of the graph; photo and computers are reduced to their largest component.
        num_edges: directed edges without self-loops.
        num_features: node features, F.
        num_outputs: classes, or labels of a multi-label task, C.
        width: channels of the cell's states, d.
        has_pre: a linear layer F → d precedes the cell.
        has_post: a linear layer d → C follows the cell.
        dropout: dropout probability.
        training: protocol of the benchmark's trainings.
        operations: operations that architectures may use.
        is_multilabel: labels are independent yes/no decisions, the metric is the ROC-AUC, and graph attention adds no
            self-loops; otherwise each node has one class and the metric is the accuracy.
    """

    name: str
    num_nodes: int
    num_edges: int
    num_features: int
    num_outputs: int
    width: int
    has_pre: bool
    has_post: bool
    dropout: float
    training: Training
    operations: tuple[str, ...] = OPERATIONS
    is_multilabel: bool = False


# fmt: off
_TRAINING = {
    #            train   valid   test    optimizer, learning rate, weight decay, epochs
    "cora":      Training(140, 500, 1_000, "sgd", 0.1, 5e-4, 400),
    "citeseer":  Training(120, 500, 1_000, "sgd", 0.2, 5e-4, 400),
    "pubmed":    Training(60, 500, 1_000, "sgd", 0.2, 5e-4, 500),
    "cs":        Training(300, 450, 17_583, "sgd", 0.5, 5e-4, 400),
    "physics":   Training(100, 150, 34_243, "sgd", 0.01, 0.0, 200),
    "photo":     Training(160, 240, 7_087, "adam", 0.0002, 5e-4, 500),
    "computers": Training(200, 300, 12_881, "adam", 0.005, 5e-4, 500),
    "arxiv":     Training(90_941, 29_799, 48_603, "adam", 0.002, 0.0, 500),
    "proteins":  Training(86_619, 21_236, 24_679, "adam", 0.01, 5e-4, 500),
}
_TABLE = (
    #       name         nodes     edges        F     C    d    pre    post   dropout
    Dataset("cora",      2_708,   10_556,      1433, 7,   256, False, True,  0.7, _TRAINING["cora"]),
    Dataset("citeseer",  3_327,   9_104,       3703, 6,   256, False, True,  0.7, _TRAINING["citeseer"]),
    Dataset("pubmed",    19_717,  88_648,      500,  3,   128, False, False, 0.3, _TRAINING["pubmed"]),
    Dataset("cs",        18_333,  163_788,     6805, 15,  128, True,  False, 0.6, _TRAINING["cs"]),
    Dataset("physics",   34_493,  495_924,     8415, 5,   256, True,  False, 0.4, _TRAINING["physics"]),
    Dataset("photo",     7_487,   238_086,     745,  8,   128, False, False, 0.7, _TRAINING["photo"]),
    Dataset("computers", 13_381,  491_556,     767,  10,  64,  True,  True,  0.1, _TRAINING["computers"]),
    Dataset("arxiv",     169_343, 2_315_598,   128,  40,  128, False, True,  0.2, _TRAINING["arxiv"]),
    Dataset("proteins",  132_534, 79_122_504,  8,    112, 256, True,  True,  0.0, _TRAINING["proteins"],
            operations=PROTEINS_OPERATIONS, is_multilabel=True),
)
# fmt: on
DATASETS = {dataset.name: dataset for dataset in _TABLE}


def get_dataset(name: str) -> Dataset:
    """Return the settings of a data set.

    Args:
        name: one of the keys of `DATASETS`.

    Raises:
        UnknownNameError: there is no such data set.
    """
    if not isinstance(name, str) or name not in DATASETS:
        raise UnknownNameError("dataset", name, list(DATASETS))
    return DATASETS[name]
