"""The server responds as its OpenAPI document says, to valid and invalid requests.

Schemathesis generates them from the schemas' limits and from a fixed seed.
"""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, GenerationMode, Response
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection

from models import get_space
from service.api_keys import create_key
from service.cli.demo import server
from service.settings import KeyLimits
from study import StudyDefinition
from tests.service.conftest import ARCHITECTURES, SMALL
from tests.waiting import PATIENCE_S

DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi.json"  # another test compares it with the server's
DETERMINISTIC = ProjectConfig(generation=GenerationConfig(deterministic=True))
API = schemathesis.openapi.from_path(
    DOCUMENT, config=SchemathesisConfig(projects=ProjectsConfig(default=DETERMINISTIC))
)
BOUNDED = settings(max_examples=25, database=None, suppress_health_check=list(HealthCheck))
NAMES = (f"study-{number}" for number in count())
"""Names of new studies: a response must not depend on earlier requests."""
PROXIES = [[], ["params"], ["params", "nwot"]]


KEY, ENTRY = create_key("schemathesis", ["predict", "admin"], KeyLimits(rate_limit=10**6, max_active_jobs=10**6))
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that requires an API key."""
    keys = f"[{ENTRY.model_dump_json()}]"
    with server({"ARCHRANK_NUM_THREADS": "1", "ARCHRANK_KEYS": keys, "ARCHRANK_MAX_STUDIES": "1000000"}) as address:
        yield address


class Ids(NamedTuple):
    """Ids of things that exist."""

    job: str
    study: str
    observation: str


@pytest.fixture(scope="module")
def ids(url: str) -> Ids:
    job_body = {"architectures": [SMALL], "proxies": []}
    job = httpx.post(f"{url}/v1/jobs", json=job_body, headers=HEADERS, timeout=PATIENCE_S).json()["id"]
    body: dict[str, Any] = {
        "name": "kept",
        "space": "gcn-nas",
        "sources": [],
        "observations": [{"architecture": SMALL, "value": 0.5}],
    }
    study = httpx.post(f"{url}/v1/studies", json=body, headers=HEADERS, timeout=PATIENCE_S).json()["id"]
    page = httpx.get(f"{url}/v1/studies/{study}/observations", headers=HEADERS, timeout=PATIENCE_S).json()
    return Ids(job, study, page["observations"][0]["id"])


@API.parametrize()
@BOUNDED
def test_responses_are_as_documented(case: Case[Any], url: str, ids: Ids) -> None:
    fill_names(case, ids)
    check(case, case.call(base_url=url, headers=HEADERS, timeout=PATIENCE_S))


def test_links_between_operations(url: str, ids: Ids) -> None:
    """Jobs are created, then read, streamed and cancelled by their ids; studies alike."""

    class Workflow(API.as_state_machine()):  # type: ignore[misc]
        def before_call(self, case: Case[Any]) -> None:
            kind = "study" if "/studies/" in case.path else "job"
            fill_names(case, ids._replace(**{kind: case.path_parameters.get("id", getattr(ids, kind))}))

        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            return {"base_url": url, "headers": HEADERS, "timeout": 60}

        def validate_response(self, response: Response, case: Case[Any], *_: Any, **__: Any) -> None:
            check(case, response)

    Workflow.run(settings=settings(BOUNDED, stateful_step_count=8))


def check(case: Case[Any], response: Response) -> None:
    """Check status, headers, media type and body, and the refusal of invalid requests or items."""
    refused = '"#/architectures/' in response.text  # location of an item's problem in the request
    if response.status_code == 202:
        refused = response.json()["counts"]["failed"] > 0
    accepted = refused or _lost_its_unknown_parameters(case, response)
    case.validate_response(response, excluded_checks=[negative_data_rejection] if accepted else [])


def _lost_its_unknown_parameters(case: Case[Any], response: Response) -> bool:
    """True if no unknown query parameter was sent, because the value of each is an empty list."""
    sent = set(parse_qs(urlsplit(str(response.request.url)).query, keep_blank_values=True))
    unsent = {name for name, value in (case.query or {}).items() if value == [] and name not in sent}
    return bool(unsent) and sent <= {parameter.name for parameter in case.operation.query}


def fill_names(case: Case[Any], ids: Ids) -> None:
    """Fill existing names and cheap proxies into valid requests."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if "id" in case.path_parameters:
        case.path_parameters["id"] = ids.study if "/studies/" in case.path else ids.job
    if "observation_id" in case.path_parameters:
        case.path_parameters["observation_id"] = ids.observation
    if "name" in case.path_parameters:
        case.path_parameters["name"] = "gcn-nas" if "spaces" in case.path else "gcn-nas-ntu"
    if isinstance(case.body, dict):
        fill = _study_in_body if "/studies" in case.path else _name_in_body
        fill(case.body, case.path.rpartition("/")[2])


def _study_in_body(body: dict[str, Any], route: str) -> None:
    """Fill an existing space without sources, and architectures of it with allowed values."""
    if route == "import":
        body["format"] = "archrank-study-1"
        definition = StudyDefinition(next(NAMES), "gcn-nas", get_space("gcn-nas").settings)
        body["study"] = definition.to_json()
    if route == "studies":
        body |= {"name": next(NAMES), "space": "gcn-nas"}
        for field, value in {"settings": {}, "task": "task", "sources": [], "metric": {"name": "F1"}}.items():
            if body.get(field) is not None:
                body[field] = value
    for field in ("architectures", "candidates"):
        if body.get(field) is not None:
            body[field] = [ARCHITECTURES[i % len(ARCHITECTURES)] for i in range(len(body[field]))]
    if body.get("observations") is not None:
        number = len(body["observations"])
        body["observations"] = [
            {"architecture": ARCHITECTURES[i % len(ARCHITECTURES)], "value": 0.5} for i in range(number)
        ]


def _name_in_body(body: dict[str, Any], route: str) -> None:
    """Fill an existing space with its default settings, architectures of it, cheap proxies and a small batch."""
    if body.get("settings") is not None:
        body["settings"] = {}
    if route == "sample" and "fixed" in body:
        body["fixed"] = {"depth": 4}
    if route == "mutate":
        body["architecture"] = SMALL
    if route in ("sample", "mutate"):
        return
    number = min(len(body["architectures"]), 64)
    body["architectures"] = [ARCHITECTURES[i % len(ARCHITECTURES)] for i in range(number)]
    if route != "validate":
        body["proxies"] = PROXIES[number % len(PROXIES)]
    for field, name in {"space": "gcn-nas", "ensemble": "gcn-nas-ntu", "combiner": "ridge"}.items():
        if body.get(field) is not None:
            body[field] = name
    if body.get("batch") is not None:
        body["batch"] = {"batch_size": 2}
    if body.get("detail") == "brief":
        body.pop("explain", None)
    if body.get("kind") == "scores":
        for field in ("ensemble", "combiner", "explain", "compare", "detail"):
            body.pop(field, None)
    else:
        body.pop("kind", None)
        if route == "jobs":
            body.pop("batch", None)
