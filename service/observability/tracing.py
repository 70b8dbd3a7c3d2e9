"""Spans for OpenTelemetry: of requests, which FastAPI makes itself, and of what is done for them.

Off, and nothing of it imported, unless an endpoint is set.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from common.errors import InputError
from common.version import archrank_version
from service.workers.base import Outcome

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

EXPORT_SECONDS = 5
"""How long the receiver of spans may take, also when the server ends."""
UNTRACED = ("/health/", "/metrics")
"""Begin the paths that are asked all day."""


class Tracing:
    """Where spans go.

    Args:
        endpoint: base URL of an OTLP receiver; no spans where None.

    Raises `InputError` where what sends them is not installed.
    """

    def __init__(self, endpoint: str | None = None) -> None:
        self._provider = None if endpoint is None else _provider(endpoint)
        self._tracer = None if self._provider is None else self._provider.get_tracer("archrank", archrank_version())

    def span(self, name: str, **attributes: Any) -> "AbstractContextManager[Span | None]":
        """A span as long as the context, of what is done in there."""
        if self._tracer is None:
            return nullcontext()
        return self._tracer.start_as_current_span(name, attributes=attributes)

    @property
    def of_requests(self) -> "TelemetryConfig":
        """For `FastAPI(telemetry=...)`."""
        return {
            "tracing": self._provider is not None,
            "tracer_provider": self._provider,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
            "exclude": lambda scope: scope["path"].removeprefix(scope["root_path"]).startswith(UNTRACED),
        }

    def close(self) -> None:
        """Send what has not been sent."""
        if self._provider is not None:
            self._provider.shutdown()


def describe(span: "Span | None", outcome: Outcome) -> None:
    """Say on the span what became of a task."""
    if span is not None:
        span.set_attributes({"seconds": outcome.seconds, "tries": outcome.tries})
        if outcome.process is not None:
            span.set_attribute("process", outcome.process)
        if outcome.failure is not None:
            span.set_attribute("failure", outcome.failure.kind)


def _provider(endpoint: str) -> "TracerProvider":
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        allowed = f"not set, or `pip install 'archrank[telemetry]'` ({error})"
        raise InputError("otlp_endpoint", endpoint, allowed) from error
    resource = Resource.create({"service.name": "archrank", "service.version": archrank_version()})
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
