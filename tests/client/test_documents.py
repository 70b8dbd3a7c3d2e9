"""The client's documents and `docs/openapi.json` agree field by field: names, types, nullability, required fields."""

import json
from pathlib import Path
from typing import Any

import pytest
from archrank_client import brief_schemas, schemas, study_schemas
from archrank_client.schemas import Document
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[2]
OPENAPI = json.loads((ROOT / "docs" / "openapi.json").read_text())
SERVER = OPENAPI["components"]["schemas"]
MODELS: dict[str, type[BaseModel]] = {
    "AddedObservations": study_schemas.ObserveResult,
    "Attribution": schemas.Attribution,
    "BestArchitecture": study_schemas.TrainedArchitecture,
    "CombinerMetrics": schemas.CombinerMetrics,
    "EnsembleCard": schemas.Ensemble,
    "Estimate": schemas.Estimate,
    "Explanation": schemas.Explanation,
    "FailedItem": schemas.FailedItem,
    "FieldProblem": schemas.FieldProblem,
    "FittedCounts": study_schemas.FittedCounts,
    "Interval": schemas.Interval,
    "IntervalMetric": schemas.IntervalMetric,
    "JobCounts": schemas.JobCounts,
    "JobList": schemas.JobList,
    "JobStatus": schemas.JobStatus,
    "Limits": schemas.Limits,
    "ObservationCounts": study_schemas.ObservationCounts,
    "ObservationPage": study_schemas.ObservationPage,
    "ObservedItem": study_schemas.StudyObservation,
    "PairMetric": schemas.PairMetric,
    "PredictedItem": schemas.Prediction,
    "PredictionResponse": schemas.PredictionResponse,
    "Problem": schemas.Problem,
    "ProxyScore": schemas.ProxyScore,
    "QualityPoint": study_schemas.QualityPoint,
    "Sample": schemas.Sample,
    "ScoreResponse": schemas.ScoreResponse,
    "ScoredItem": schemas.Scores,
    "StudyDocument": study_schemas.StudyState,
    "StudyList": study_schemas.StudyList,
    "StudyPredictedItem": study_schemas.StudyPrediction,
    "StudyPredictions": study_schemas.StudyPredictionResponse,
    "StudyQuality": study_schemas.StudyQuality,
    "StudySuggestions": study_schemas.SuggestionResponse,
    "SuggestedMutation": schemas.SuggestedMutation,
    "SourceCard": schemas.SourceCard,
    "Summary": schemas.Summary,
    "ValidItem": schemas.Validation,
    "ValidationResponse": schemas.ValidationResponse,
}
"""The client's model of each document that it reads."""
SPECIAL = {
    "BriefEstimate": "a brief prediction of a job, compared in test_brief_predictions",
    "BriefPrediction": "has the caller's architecture in the client, compared in test_brief_predictions",
    "BriefPredictionResponse": "a full response with brief predictions, compared in test_brief_predictions",
    "EstimatedItem": "a prediction of a job, compared in test_predictions_of_jobs_have_no_rank",
    "JobResult": "generic in the client, compared in test_pages_of_job_results",
    "JobResults": "generic in the client, compared in test_pages_of_job_results",
}
OTHER_TYPES = {
    ("StudyDocument", "metric"): "StudyMetric",  # an object of strings on the server
    ("StudyPredictedItem", "interval"): frozenset({"StudyInterval", "null"}),  # not of fractions
}
"""Types of fields that have a model of their own in the client."""
NOT_READ = {
    "FormulaCard": "part of a ProxyCard",
    "HealthStatus": "for orchestrators",
    "HeldOutPredictions": "for the page's chart",
    "JobRequest": "a request",
    "Metric": "part of a request",
    "MutationRequest": "a request",
    "ObservationsRequest": "a request",
    "PredictionRequest": "a request",
    "ProbeBatchInfo": "part of response fields that are not read",
    "ProxyCard": "the client lists no proxies",
    "ReferenceSet": "for the page's chart",
    "SampleRequest": "a request",
    "ScoreRequest": "a request",
    "SpaceCard": "its fields beyond the common ones are the space's own; the client returns it as it is",
    "StudyExport": "the client returns it as it is",
    "StudyImport": "a request",
    "StudyPredictionRequest": "a request",
    "StudyRequest": "a request",
    "SuggestionRequest": "a request",
    "ValidationRequest": "a request",
}
FIELDS_NOT_READ = {
    ("PredictionResponse", "win_probability"): "requested by `compare`, which the client does not send",
    ("PredictionResponse", "ensemble"): "each prediction names it",
    ("PredictionResponse", "ensemble_hash"): "each prediction names it",
    ("PredictionResponse", "space"): "each architecture names it",
    ("PredictionResponse", "settings"): "belong to the ensemble's card",
    ("PredictionResponse", "stratum_label"): "belongs to the ensemble's card",
    ("PredictionResponse", "device"): "results do not depend on it",
    ("PredictionResponse", "probe_batch"): "belongs to the ensemble's card",
    ("PredictionResponse", "seconds"): "each score has its own",
    ("ScoreResponse", "space"): "each architecture names it",
    ("ScoreResponse", "settings"): "requested by the caller, or the defaults of the space's card",
    ("ScoreResponse", "device"): "results do not depend on it",
    ("ScoreResponse", "probe_batch"): "belongs to the ensemble's card",
    ("ScoreResponse", "seconds"): "each score has its own",
}
OPTIONAL_IN_CLIENT = {
    "CombinerMetrics": {*SERVER["CombinerMetrics"]["properties"]},
    "EnsembleCard": {
        *("hash", "created_by", "settings", "batch", "batch_fingerprint", "features", "method", "baselines"),
        *("ranks_only", "sources", "limitations", "task", "stratum_label", "left_out", "curve"),
    },
    "IntervalMetric": {"overall", "by_stratum"},
    "JobCounts": {"cached"},
    "JobStatus": {
        *("owner", "ensemble", "ensemble_hash", "eta_seconds", "started_at", "finished_at", "expires_at", "detail"),
    },
    "Limits": {*SERVER["Limits"]["properties"]},
    "ObservationCounts": {"running"},
    "ObservedItem": {"error", "seconds", "epochs", "curve", "predicted"},
    "PairMetric": {"overall", "within_stratum"},
    "PredictedItem": {
        *("ensemble", "ensemble_hash", "combiners", "interval_scale", "scores", "explanation", "suggested_mutations"),
        *("cached", "warnings", "rank", "ranking_score", "stratum"),
    },
    "Problem": {"title", "detail", "type", "instance", "errors"},
    "ProxyScore": {"log", "error", "note"},
    "QualityPoint": {"spearman", "sources_spearman", "stratum_spearman", "coverage"},
    "ScoredItem": {"cached", "warnings"},
    "StudyDocument": {"settings", "task", "sources", "fitted", "quality", "notes", "best"},
    "StudyPredictedItem": {"value", "interval", "failure_probability", "curve_length", "warnings"},
    "StudyPredictions": {"notes"},
    "StudyQuality": {
        *("spearman", "sources_spearman", "stratum_spearman", "coverage", "stratum_label", "curve"),
    },
    "StudySuggestions": {"notes"},
    "SuggestedMutation": {"architecture"},
    "ValidItem": {"warnings", "stratum", "stratum_label"},
}
"""Fields that the client does without, as an older server or a reverse proxy may omit them."""


def normalize(schema: dict[str, Any]) -> Any:
    """Return the type of a JSON schema without descriptions and bounds; an enumeration of strings is a string."""
    if "$ref" in schema:
        return client_name(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return frozenset(normalize(option) for option in schema["anyOf"])
    kind = schema.get("type", "any")
    if kind == "array":
        return ("array", normalize(schema["items"]))
    if kind == "object":
        values = schema.get("additionalProperties", True)
        return ("object", "any" if values is True else normalize(values))
    return (kind, schema["format"]) if "format" in schema else kind


def client_name(name: str) -> str:
    return MODELS[name].__name__ if name in MODELS else name


def client_fields(model: type[BaseModel]) -> dict[str, Any]:
    return {name: normalize(schema) for name, schema in model.model_json_schema()["properties"].items()}


def server_fields(name: str) -> dict[str, Any]:
    properties = SERVER[name]["properties"]
    return {
        field: OTHER_TYPES.get((name, field), normalize(properties[field]))
        for field in properties
        if (name, field) not in FIELDS_NOT_READ
    }


def without_null(kind: Any) -> Any:
    options = kind - {"null"} if isinstance(kind, frozenset) else kind
    return next(iter(options)) if isinstance(options, frozenset) and len(options) == 1 else options


def is_nullable(kind: Any) -> bool:
    return isinstance(kind, frozenset) and "null" in kind


def test_every_document_is_compared_or_has_a_reason() -> None:
    assert {*MODELS} | {*SPECIAL} | {*NOT_READ} == {*SERVER}
    assert {(name, field) for name, field in FIELDS_NOT_READ if field not in SERVER[name]["properties"]} == set()
    documents = {
        model
        for module in (schemas, study_schemas)
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, Document) and model is not Document
    }
    special: set[type[Document]] = {schemas.JobResult, schemas.JobResults}
    special |= {study_schemas.StudyBasis, study_schemas.StudyInterval, study_schemas.StudyMetric}
    assert documents - special == {*MODELS.values()}


@pytest.mark.parametrize("name", MODELS)
def test_names(name: str) -> None:
    assert set(client_fields(MODELS[name])) == set(server_fields(name))


@pytest.mark.parametrize("name", MODELS)
def test_types_and_nullability(name: str) -> None:
    client, server = client_fields(MODELS[name]), server_fields(name)
    assert {field: without_null(kind) for field, kind in client.items()} == {
        field: without_null(kind) for field, kind in server.items()
    }
    optional = OPTIONAL_IN_CLIENT.get(name, set())
    nullable_in_client = {field for field in client if is_nullable(client[field])}
    nullable_in_server = {field for field in server if is_nullable(server[field])}
    assert nullable_in_server <= nullable_in_client
    assert nullable_in_client - nullable_in_server <= optional


@pytest.mark.parametrize("name", MODELS)
def test_required_fields(name: str) -> None:
    required_by_client = set(MODELS[name].model_json_schema().get("required", []))
    required_of_server = set(SERVER[name].get("required", [])) & set(server_fields(name))
    assert required_by_client <= required_of_server
    assert set(server_fields(name)) - required_by_client == OPTIONAL_IN_CLIENT.get(name, set())


def test_predictions_of_jobs_have_no_rank() -> None:
    assert server_fields("EstimatedItem") == {
        field: kind for field, kind in server_fields("PredictedItem").items() if field != "rank"
    }


def test_brief_predictions() -> None:
    client, server = client_fields(brief_schemas.BriefPrediction), server_fields("BriefPrediction")
    added_by_client = {"architecture"}
    assert set(client) - added_by_client == set(server)
    for field, kind in server.items():
        assert without_null(client[field]) == without_null(kind)
    assert server_fields("BriefEstimate") == {field: kind for field, kind in server.items() if field != "rank"}
    response = {*server_fields("BriefPredictionResponse"), *server_fields("PredictionResponse")}
    assert response == {*SERVER["PredictionResponse"]["properties"]}
    items = normalize(SERVER["BriefPredictionResponse"]["properties"]["predictions"])
    assert items == ("array", frozenset({"BriefPrediction", "FailedItem"}))
    assert client_fields(brief_schemas.BriefPredictionResponse)["predictions"] == items


@pytest.mark.parametrize("item", [schemas.Prediction, schemas.Scores])
def test_pages_of_job_results(item: type[Document]) -> None:
    page: type[BaseModel] = schemas.JobResults[item]  # type: ignore[valid-type]
    schema = page.model_json_schema()
    (result,) = (schema["$defs"][name] for name in schema["$defs"] if name.startswith("JobResult"))
    assert set(schema["properties"]) == set(SERVER["JobResults"]["properties"])
    assert set(schema["required"]) == set(SERVER["JobResults"]["required"])
    assert normalize(schema["properties"]["next"]) == normalize(SERVER["JobResults"]["properties"]["next"])
    assert set(result["properties"]) == set(SERVER["JobResult"]["properties"])
    assert set(result["required"]) == set(SERVER["JobResult"]["required"])
    assert normalize(result["properties"]["position"]) == normalize(SERVER["JobResult"]["properties"]["position"])
    server_results = {
        "Prediction" if kind == "EstimatedItem" else kind
        for kind in normalize(SERVER["JobResult"]["properties"]["result"])
    }
    assert normalize(result["properties"]["result"]) == {item.__name__, "FailedItem"}
    assert server_results == {"Prediction", "Scores", "FailedItem", "BriefEstimate"}


def test_documents_by_name() -> None:
    def response(path: str) -> Any:
        return OPENAPI["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]

    assert normalize(response("/v1/ensembles")) == normalize(schemas.Ensembles.model_json_schema())
    assert normalize(response("/v1/spaces")) == ("object", "SpaceCard")
    assert normalize(schemas.Spaces.model_json_schema()) == ("object", normalize({"type": "object"}))
    assert SERVER["SpaceCard"]["additionalProperties"] is True
