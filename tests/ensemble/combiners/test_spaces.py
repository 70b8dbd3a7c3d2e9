"""Contract of every combiner on the tables of spaces other than the first."""

from ensemble import combiner_infos
from ensemble.testing import contract_classes
from models import get_space

SPACES = [get_space("nas-bench-graph", dataset="citeseer"), get_space("nas-bench-201")]
globals().update(contract_classes(combiner_infos(), SPACES))
