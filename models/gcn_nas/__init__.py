"""The `gcn-nas` search space (Peng et al., AAAI 2020)."""

from models.gcn_nas.architecture import PENG, GcnNasArchitecture
from models.gcn_nas.space import GcnNas

__all__ = ["PENG", "GcnNas", "GcnNasArchitecture"]
