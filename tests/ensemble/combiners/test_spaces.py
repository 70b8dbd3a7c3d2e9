"""Contract of every combiner on the tables of spaces other than the first."""

from ensemble import combiner_infos
from ensemble.combiners import OMNI
from ensemble.testing import contract_classes
from models import get_space

SPACES = [get_space("nas-bench-graph", dataset="citeseer"), get_space("nas-bench-201")]
INFOS = [info for info in combiner_infos() if info.name != OMNI]
"""Without the one that differs from another in its columns alone; `test_all` tests it on the first space."""
globals().update(contract_classes(INFOS, SPACES))
