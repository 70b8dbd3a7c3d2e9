"""Every proxy on every network of the zoo: what the definitions say, on both engines, or an honest failure."""

import pytest

from proxies import Score, runner, score
from proxies.base import Need
from proxies.passes import Pass, Probe
from proxies.passes.exact import MEASUREMENTS, ExactPass
from tests.proxies import oracle
from tests.proxies.zoo import ZOO
from tests.proxies.zoo.specimen import Specimen

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning"),
]
LOOKED_AT = {"meco": "units", "meco_opt": "units", "sed": "topology", "zen": "feature_unit"}


def exact_alone(one_pass: Pass, probe: Probe, needs: frozenset[Need]) -> frozenset[Need]:
    return needs if isinstance(one_pass, ExactPass) else needs - frozenset(MEASUREMENTS)


@pytest.fixture(params=list(ZOO))
def specimen(request: pytest.FixtureRequest) -> Specimen:
    return ZOO[request.param]


@pytest.fixture(params=["chosen", "exact"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "exact":
        monkeypatch.setattr(runner, "needs_shown", exact_alone)
    return str(request.param)


def check(specimen: Specimen, scores: dict[str, Score], wanted: dict[str, float], rel: float = 1e-4) -> list[str]:
    """Sentences about what is otherwise than the specimen and the oracle say."""
    network, wrong = specimen.network(), []
    for name, found in scores.items():
        sentence = specimen.fails.get(name)
        attribute = LOOKED_AT.get(name)
        if sentence is None and attribute and not hasattr(network, attribute):
            sentence = f"the network names no `{attribute}`"
        if sentence is not None:
            if found.status != "failed" or found.value is not None or sentence not in str(found.error):
                wrong.append(f"{name}: {found.feature} {found.error}, not a failure with {sentence!r}")
        elif found.feature is None:
            wrong.append(f"{name}: {found.error}")
        elif name in wanted and found.feature != pytest.approx(wanted[name], rel=rel, abs=1e-12):
            wrong.append(f"{name}: {found.feature}, not {wanted[name]} ({found.note})")
    return wrong


def expected(specimen: Specimen) -> dict[str, float]:
    network = specimen.network()
    left_out = [name for name, attribute in LOOKED_AT.items() if not hasattr(network, attribute)]
    return {n: f(specimen) for n, f in oracle.FORMULAS.items() if n not in specimen.fails and n not in left_out}


def test_scores_are_what_the_definitions_say(specimen: Specimen, engine: str) -> None:
    scores = score(specimen.network(), specimen.x, specimen.y)
    assert not check(specimen, scores, expected(specimen))
