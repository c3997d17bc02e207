"""OpenTelemetry traces, where the standard environment variables (OTEL_…) say whereto; libraries of the extra `serve`.

Spans have names, numbers and states: no text of a request, and no message of an error, which could quote one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HTTP = "http/protobuf"
MISSING = (
    "no traces are sent, though {variable} is set: pip install 'efficient-empathy[serve]' brings the libraries that it "
    "takes"
)
NAME = "efficient-empathy"
ENDING_S = 5.0
"""How long the last spans may take to go out when the service ends."""
Note = Callable[..., None]
"""Sets attributes of a span: `note(samples=3)`."""


class Spans(Protocol):
    """Makes spans; one within another is its child."""

    def __call__(self, name: str, headers: Mapping[str, str] | None = None) -> AbstractContextManager[Note]:
        """A span for the block; with `headers`, those of a request, it goes on the trace that they tell of."""
        ...

    def close(self) -> None:
        """Send what was not sent."""
        ...


class NoSpans:
    """None are made."""

    @contextmanager
    def __call__(self, name: str, headers: Mapping[str, str] | None = None) -> Iterator[Note]:
        """See `Spans`."""
        yield lambda **attributes: None

    def close(self) -> None:
        """See `Spans`."""


class SentSpans:
    """They are sent by OTLP over HTTP. Raises `ImportError` without the libraries."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        resource = Resource.create({} if named else {"service.name": NAME})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(NAME)

    @contextmanager
    def __call__(self, name: str, headers: Mapping[str, str] | None = None) -> Iterator[Note]:
        """See `Spans`."""
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, StatusCode

        with self._tracer.start_as_current_span(
            name,
            context=extract(headers) if headers is not None else None,
            kind=SpanKind.INTERNAL if headers is None else SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            def note(**attributes: Any) -> None:
                status = attributes.get("status")
                if status is not None:
                    span.set_attribute("http.response.status_code", attributes.pop("status"))
                    if status >= 500:
                        span.set_status(StatusCode.ERROR)
                span.set_attributes({f"efficient_empathy.{key}": value for key, value in attributes.items()})

            yield note

    def close(self) -> None:
        """See `Spans`; what cannot be sent within `ENDING_S` is lost."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(ENDING_S)


def make_spans(warn: Callable[[str], None]) -> Spans:
    """Spans as the environment says; what keeps them from being sent is warned of."""
    variable = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    if variable is None or off:
        return NoSpans()
    name, protocol = next(((name, os.environ[name]) for name in PROTOCOLS if os.environ.get(name)), ("", HTTP))
    if protocol != HTTP:
        warn(f"no traces are sent: {name} is {protocol}, and the service speaks {HTTP}: set it to that")
        return NoSpans()
    try:
        return SentSpans()
    except ImportError:
        warn(MISSING.format(variable=variable))
        return NoSpans()
