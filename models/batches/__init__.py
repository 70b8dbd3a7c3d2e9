"""Probe batches: synthetic motion, or a few sequences of recorded data."""

from models.batches.base import ProbeBatch, check_batch
from models.batches.files import npz_batch, ntu_batch
from models.batches.spec import BatchSpec
from models.batches.synthetic import synthetic_batch

__all__ = ["BatchSpec", "ProbeBatch", "check_batch", "npz_batch", "ntu_batch", "synthetic_batch"]
