"""Traces, sent to a real collector over HTTP."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from efficient_empathy.service.tracing import NoSpans, make_spans
from service_server import SAMPLE, serving

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector():
    """An OTLP collector: its address, and the bodies that came."""
    bodies: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    server.server_close()


def test_a_request_is_a_trace_with_its_parts_and_no_text(collector, monkeypatch) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the extra serve is not installed")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    address, bodies = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    warnings: list[str] = []
    with serving(spans=make_spans(warnings.append)) as service:
        service.ask("/v1/score", [SAMPLE, 3], {"traceparent": f"00-{TRACE}-{PARENT}-01"})
        service.ask("/v1/score", b"{ not json")
    assert warnings == []
    resources = [one for body in bodies for one in ExportTraceServiceRequest.FromString(body).resource_spans]
    named = {one.key: one.value.string_value for one in resources[0].resource.attributes}
    assert named["service.name"] == "efficient-empathy"
    spans = [span for one in resources for scope in one.scope_spans for span in scope.spans]
    own = {span.name: span for span in spans if span.trace_id.hex() == TRACE}
    assert set(own) == {"POST /v1/score", "read", "judge"}
    assert own["POST /v1/score"].parent_span_id.hex() == PARENT
    assert own["judge"].parent_span_id == own["POST /v1/score"].span_id
    told = {one.key: one.value.int_value for one in own["POST /v1/score"].attributes}
    assert told["http.response.status_code"] == 200
    assert told["efficient_empathy.samples"] == told["efficient_empathy.items.invalid"] == 1
    other = [span for span in spans if span.trace_id.hex() != TRACE]
    assert {one.key: one.value.int_value for one in other[-1].attributes}["http.response.status_code"] == 400
    assert not any(span.events for span in spans)
    for text in (SAMPLE["context"], SAMPLE["response"], "not json"):
        assert not any(text.encode() in body for body in bodies)


@pytest.mark.parametrize(
    ("environment", "warning"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"}, ""),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "no traces are sent: OTEL_EXPORTER_OTLP_PROTOCOL is grpc, and the service speaks http/protobuf: set it to "
            "that",
        ),
    ],
)
def test_traces_are_off_unless_the_environment_says_whereto(environment, warning, monkeypatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    warnings: list[str] = []
    assert isinstance(make_spans(warnings.append), NoSpans)
    assert warnings == ([warning] if warning else [])
