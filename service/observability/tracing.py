"""OpenTelemetry spans of requests, which FastAPI creates, and of the work done for them.

Off unless an endpoint is set; OpenTelemetry is imported only then.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from common.extras import require_extra
from common.version import archrank_version

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

EXPORT_TIMEOUT_S = 5
"""Timeout of an export to the receiver, also at shutdown."""
UNTRACED = ("/health/", "/metrics")
"""Prefixes of the paths that monitoring requests all the time."""


class Tracing:
    """Exporter of spans.

    Args:
        endpoint: base URL of an OTLP receiver; no spans if None.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
    """

    def __init__(self, endpoint: str | None = None) -> None:
        self._provider = None if endpoint is None else _provider(endpoint)
        self._tracer = None if self._provider is None else self._provider.get_tracer("archrank", archrank_version())

    def span(self, name: str, **attributes: Any) -> "AbstractContextManager[Span | None]":
        """Return a context manager that records its body as a span."""
        if self._tracer is None:
            return nullcontext()
        return self._tracer.start_as_current_span(name, attributes=attributes)

    @property
    def telemetry(self) -> "TelemetryConfig":
        """Argument of `FastAPI(telemetry=...)`."""
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
        """Export the remaining spans."""
        if self._provider is not None:
            self._provider.shutdown()


def set_attributes(span: "Span | None", **attributes: Any) -> None:
    """Set those attributes of a span that are not None. Does nothing without a span."""
    if span is not None:
        span.set_attributes({name: value for name, value in attributes.items() if value is not None})


def _provider(endpoint: str) -> "TracerProvider":
    require_extra("telemetry", "opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": "archrank", "service.version": archrank_version()})
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_TIMEOUT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
