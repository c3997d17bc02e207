"""The service's addresses, as OpenAPI and as a page: both from one table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.metadata import version
from typing import Any

EXAMPLE = {
    "messages": [
        {"role": "user", "content": "I failed my exam and dread telling my parents."},
        {"role": "assistant", "content": "That sounds hard. What makes you afraid to tell them?"},
    ]
}
SAMPLE: dict[str, Any] = {
    "sample_id": "0f3c…",
    "turn": 1,
    "scores": {"sensibility": 6.41, "rationality": 4.87},
    "std": {"sensibility": 1.32, "rationality": 1.51},
    "p": {"sensibility": 0.58, "rationality": 0.33, "discard": 0.09},
    "subset": "sensibility",
    "reason": "P(sensibility) 0.58, P(rationality) 0.33, P(discard) 0.09; the most probable",
    "outside": False,
    "outside_because": None,
}
ANSWER = {"results": [{"item": 0, "state": "ok", "samples": [SAMPLE]}], "states": {"ok": 1}, "drift": "ok"}
NUMBERS = {"type": "object", "additionalProperties": {"type": "number"}}


@dataclass(frozen=True)
class Address:
    """One address: how it is asked, what it says in one line, whether it needs a token, and what it may answer."""

    method: str
    path: str
    summary: str
    open: bool
    answers: dict[str, str]


_TOKEN = {"401": "No token, or a wrong one."}
ADDRESSES = (
    Address(
        "post", "/v1/score",
        "Score a conversation, or an array of them: per reply its scores, their standard deviation, the probability of "
        "each subset, its subset and the reason.",
        False,
        {
            "200": "One result an item, in order. An item that cannot be read has the state invalid and a reason, and "
            "costs no other.",
            "400": "The body is no JSON, or holds no conversation.",
            **_TOKEN,
            "408": "The request came too slowly.",
            "413": "More than 10 MB, or too many conversations.",
            "429": "Too many wrong tokens.",
            "503": "Too much to do, or it took too long: Retry-After says when to come again.",
        },
    ),
    Address("get", "/v1/status", "What is served, the counts of the last hour, and the drift with its reasons.", False,
            {"200": "The status.", **_TOKEN}),
    Address("get", "/metrics", "Counts for Prometheus.", False,
            {"200": "Metrics.", **_TOKEN, "501": "The extra serve is not installed."}),
    Address("get", "/health", "Whether the process is alive.", True, {"200": "It is."}),
    Address("get", "/ready", "Whether there is room for another request.", True, {"200": "There is.", "503": "Busy."}),
    Address("get", "/openapi.json", "This description as OpenAPI 3.1.", True, {"200": "The description."}),
)  # fmt: skip
ITEM = (
    "A conversation in any form that the package reads from a row: {messages: [{role, content}, …]}, {context, "
    "response}, {prompt, completion}, ShareGPT, traces, and others; see the page on formats."
)


@cache
def openapi() -> dict[str, Any]:
    """The description as OpenAPI 3.1."""
    paths: dict[str, Any] = {}
    for address in ADDRESSES:
        operation: dict[str, Any] = {
            "summary": address.summary,
            "operationId": address.path.strip("/").replace("/", "_").replace(".", "_") or "page",
            "responses": {status: {"description": text} for status, text in address.answers.items()},
            "security": [] if address.open else [{"token": []}],
        }
        paths.setdefault(address.path, {})[address.method] = operation
    score = paths["/v1/score"]["post"]
    score["parameters"] = [
        {
            "name": "turns", "in": "query", "description": "Which replies of a conversation are scored.",
            "schema": {"type": "string", "enum": ["all", "last"], "default": "all"},
        }
    ]  # fmt: skip
    item = {"type": "object", "description": ITEM, "examples": [EXAMPLE]}
    body = {"schema": {"oneOf": [item, {"type": "array", "items": item}]}, "example": EXAMPLE}
    score["requestBody"] = {"required": True, "content": {"application/json": body}}
    score["responses"]["200"]["content"] = {
        "application/json": {"schema": {"$ref": "#/components/schemas/Answer"}, "example": ANSWER}
    }
    for operations in paths.values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status not in ("200", "408"):
                    answer["content"] = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Efficient-Empathy service", "version": version("efficient-empathy")},
        "paths": paths,
        "components": {"schemas": _SCHEMAS, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


_SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object", "required": ["error"],
        "properties": {"error": {"type": "string", "description": "A sentence, with what to do."}},
    },
    "Sample": {
        "type": "object",
        "properties": {
            "sample_id": {"type": "string"}, "turn": {"type": "integer"}, "scores": NUMBERS, "std": NUMBERS,
            "p": NUMBERS, "subset": {"type": "string"}, "reason": {"type": "string"},
            "outside": {"type": ["boolean", "null"], "description": "Whether it is unlike all that the reference has."},
            "outside_because": {"type": ["string", "null"]},
        },
    },
    "Result": {
        "type": "object", "required": ["item", "state", "samples"],
        "properties": {
            "item": {"type": "integer", "description": "Its place in the request, from 0."},
            "state": {"type": "string", "enum": ["ok", "invalid", "failed"]},
            "reason": {"type": "string", "description": "Why it has no samples."},
            "samples": {"type": "array", "items": {"$ref": "#/components/schemas/Sample"}},
        },
    },
    "Answer": {
        "type": "object", "required": ["results", "states", "drift"],
        "properties": {
            "results": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}},
            "states": {"type": "object", "additionalProperties": {"type": "integer"}},
            "drift": {"type": "string", "enum": ["ok", "watch", "alarm", "none", "unknown"]},
        },
    },
}  # fmt: skip

_STYLE = """:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
pre { overflow-x: auto; padding: .75rem; border: 1px solid color-mix(in srgb, currentColor 30%, transparent) }
dt { font-family: ui-monospace, monospace; margin-top: .75rem } dd { margin-left: 1.5rem }"""


@cache
def page() -> str:
    """The description for people."""
    rows = "".join(
        f"<dt>{address.method.upper()} {escape(address.path)}</dt><dd>{escape(address.summary)}"
        f"{'' if address.open else ' Needs the token, where there is one.'}</dd>"
        for address in ADDRESSES
    )
    answer = json.dumps(ANSWER, indent=2, ensure_ascii=False)
    command = f"curl -H 'Authorization: Bearer TOKEN' --json '{json.dumps(EXAMPLE)}' ADDRESS/v1/score"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Efficient-Empathy service</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>Efficient-Empathy service</h1><p>Scores conversations as they come. {escape(ITEM)}</p><dl>{rows}</dl>"
        f'<h2>Ask</h2><pre tabindex="0" aria-label="Request">{escape(command)}</pre>'
        f'<h2>Answer</h2><pre tabindex="0" aria-label="Answer">{escape(answer)}'
        "</pre></main></body></html>"
    )
