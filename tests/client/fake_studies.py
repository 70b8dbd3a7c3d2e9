"""Server of studies in memory, for tests of the client without a real one."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import httpx

from tests.client.conftest import ScriptedServer

CREATED = "2026-01-01T00:00:00Z"
METRIC = {"name": "accuracy", "direction": "maximize", "unit": "fraction"}


class FakeStudies(ScriptedServer):
    """Server with studies, whose scores a test defines.

    Args:
        score: returns the score of an architecture.

    Attributes:
        studies: the studies' definitions by id.
        observations: the observations by study and id.
        limits: the server's limits.
        broken: errors that the next requests with a body raise, after they were handled.
    """

    def __init__(self, score: Callable[[Any], float] = lambda _: 0.0) -> None:
        self.studies: dict[str, dict[str, Any]] = {}
        self.observations: dict[str, dict[str, Any]] = {}
        self.limits: dict[str, int] = {}
        self.broken: list[Exception] = []
        self._score = score
        super().__init__(self._respond)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        response = self._route(request)
        if self.broken and request.content:
            raise self.broken.pop(0)
        return response

    def _route(self, request: httpx.Request) -> httpx.Response:
        parts = request.url.path.removeprefix("/v1/").split("/")
        body = json.loads(request.content) if request.content else {}
        match request.method, parts:
            case "GET", ["limits"]:
                return httpx.Response(200, json=self.limits)
            case "POST", ["studies"]:
                return self._create(body)
            case "GET", ["studies"]:
                name = request.url.params.get("name")
                found = [
                    self.state(study_id) for study_id, study in self.studies.items() if name in (None, study["name"])
                ]
                return httpx.Response(200, json={"studies": found})
            case _, ["studies", study_id, *_] if study_id not in self.studies:
                return httpx.Response(404)
            case "GET", ["studies", study_id]:
                return httpx.Response(200, json=self.state(study_id))
            case "DELETE", ["studies", study_id]:
                del self.studies[study_id]
                return httpx.Response(204)
            case "POST", ["studies", study_id, "observations"]:
                return self._observe(study_id, body["observations"])
            case "GET", ["studies", study_id, "observations"]:
                return self._page(study_id, request.url.params)
            case "POST", ["studies", study_id, "predictions"]:
                items = [self.prediction(architecture) for architecture in body["architectures"]]
                return httpx.Response(200, json={**self.basis(study_id), "predictions": items})
            case "POST", ["studies", study_id, "suggestions"]:
                items = sorted(map(self.prediction, body["candidates"]), key=lambda item: -item["score"])
                return httpx.Response(200, json={**self.basis(study_id), "suggestions": items[: body["number"]]})
        return httpx.Response(404)

    def _create(self, body: dict[str, Any]) -> httpx.Response:
        definition = {"settings": {}, "task": "", "sources": [], **body, "metric": {**METRIC, **body.get("metric", {})}}
        study_id = hashlib.sha256(body["name"].encode()).hexdigest()[:32]
        if study_id in self.studies and self.studies[study_id] != definition:
            return httpx.Response(409)
        status = 200 if study_id in self.studies else 201
        self.studies[study_id] = definition
        self.observations.setdefault(study_id, {})
        return httpx.Response(status, json=self.state(study_id))

    def _observe(self, study_id: str, observations: list[Any]) -> httpx.Response:
        for i, observation in enumerate(observations):
            value = observation["value"]
            if value is not None and not 0 <= value <= 1:
                field = f"observations[{i}].value"
                error = {"field": field, "value": str(value), "allowed": "0 to 1"}
                detail = f"{field}: got {value}; allowed: 0 to 1"
                return httpx.Response(422, json={"status": 422, "detail": detail, "errors": [error]})
        stored = self.observations[study_id]
        before = len(stored)
        for observation in observations:
            content = json.dumps(observation, sort_keys=True).encode()
            stored[hashlib.sha256(content).hexdigest()[:32]] = observation
        added = len(stored) - before
        result = {"added": added, "duplicates": len(observations) - added, "observations": len(stored)}
        return httpx.Response(200, json=result)

    def _page(self, study_id: str, params: Any) -> httpx.Response:
        after, limit = int(params.get("after", 0)), min(int(params["limit"]), 100)
        items = [{"id": key, **item} for key, item in self.observations[study_id].items()]
        end = after + limit
        following = f"/v1/studies/{study_id}/observations?after={end}&limit={limit}" if end < len(items) else None
        return httpx.Response(200, json={"observations": items[after:end], "next": following})

    def state(self, study_id: str) -> dict[str, Any]:
        """Return the state of a study."""
        stored = self.observations[study_id].values()
        values = [item["value"] for item in stored]
        trained = sum(value is not None for value in values)
        ended = {json.dumps(each["architecture"]) for each in stored if not is_running(each)}
        n_architectures = len({json.dumps(item["architecture"]) for item in self.observations[study_id].values()})
        counts = {"total": len(values), "trained": trained, "failed": sum(map(has_failed, stored))}
        observations = counts | {"running": n_architectures - len(ended), "architectures": n_architectures}
        return {
            "id": study_id,
            "created_at": CREATED,
            "updated_at": CREATED,
            "observations": observations,
        } | self.studies[study_id]

    def basis(self, study_id: str) -> dict[str, Any]:
        """Return the part that all answers of a study have."""
        return {"observations": len(self.observations[study_id]), "pending": 0, "notes": ["of a test"]}

    def prediction(self, architecture: Any) -> dict[str, Any]:
        """Return the prediction of an architecture; the score as the percentile, too."""
        score = self._score(architecture)
        return {"architecture": architecture, "score": score, "percentile": min(max(score, 0.0), 1.0)}


def is_running(observation: dict[str, Any]) -> bool:
    """Return whether an observation is that of a training which still runs."""
    return observation["value"] is None and not observation.get("error") and bool(observation.get("curve"))


def has_failed(observation: dict[str, Any]) -> bool:
    """Return whether an observation is that of a failed training."""
    return observation["value"] is None and not is_running(observation)
