"""Spans of a real server, as an OTLP receiver gets them."""

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import ValidationError

from common.extras import MissingExtraError
from service.observability.tracing import Tracing
from service.settings import Settings
from tests.real_server import serving
from tests.service.api.test_jobs import submit, wait
from tests.service.conftest import CHEAP, SIX, SMALL
from tests.waiting import PATIENCE_S

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[Any]]]:
    """Run an OTLP receiver; yields its URL and the spans that it receives."""
    spans: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", spans
        server.shutdown()
        thread.join()


def attributes(span: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


def test_spans_of_requests_tasks_and_jobs(tmp_path: Path, receiver: tuple[str, list[Any]]) -> None:
    url, spans = receiver
    with serving(tmp_path, otlp_endpoint=url) as server:
        body = {"architectures": [SMALL], "proxies": CHEAP}
        server.client.post("/v1/predictions", json=body, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        place = submit(server.client, SIX)
        wait(server.client, place)
        server.client.get("/metrics")
        server.process.terminate()
        server.process.wait(PATIENCE_S)  # exports the remaining spans
    (request,) = [span for span in spans if span.name == "POST /v1/predictions"]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    (job,) = [span for span in spans if span.name == "job"]
    assert place.endswith(attributes(job)["job"])
    tasks = {span.parent_span_id: attributes(span) for span in spans if span.name == "score"}
    assert tasks.keys() == {request.span_id, job.span_id}
    for task in tasks.values():
        assert (task["worker"], task["attempts"]) == (0, 1)
        assert task["seconds"] > 0
        assert [proxy.string_value for proxy in task["proxies"].values] == CHEAP
    assert not any("/metrics" in span.name or "/health" in span.name for span in spans)


def test_nothing_of_it_is_imported_where_it_is_off() -> None:
    code = """
import sys
from service.app import create_app
create_app()
sys.exit(any(name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")) for name in sys.modules))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_has_to_be_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'archrank\[telemetry\]'"):
        Tracing("http://127.0.0.1:4318")


@pytest.mark.parametrize("endpoint", ["collector:4318", "grpc://collector:4317"])
def test_endpoint_is_a_url(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="otlp_endpoint"):
        Settings(otlp_endpoint=endpoint)
