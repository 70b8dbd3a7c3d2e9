from models.gcn_nas.architecture import GcnNasArchitecture
from models.gcn_nas.space import GcnNas

__all__ = ["GcnNas", "GcnNasArchitecture"]
