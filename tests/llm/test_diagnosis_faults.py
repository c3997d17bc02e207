"""Every kind of response that holds no reply, and what follows: what is tried again, billed, told, ended."""

import json
from dataclasses import replace
from typing import Any

import pytest
from multidict import CIMultiDict

from efficient_empathy.llm.diagnosis import Diagnosis
from efficient_empathy.llm.errors import (
    EndpointDown,
    EndpointNotFound,
    Fault,
    KeyRefused,
    NotTheJudge,
    QuotaExhausted,
)
from efficient_empathy.llm.keys import Secrets
from efficient_empathy.llm.transport import Response
from efficient_empathy.llm.wire.openai import OpenAIWire

URL = "http://judge.test/v1"
PAGE = b"<html><title>Sign in</title></html>"


def fault_of(status: int, body: bytes = b"", wait: str = "", sent: str = "authorization", **headers: str) -> Fault:
    diagnosis = Diagnosis(OpenAIWire(), URL, "gpt-4o", "MY_KEY", frozenset({sent}), Secrets(None, {}))
    sent_back = CIMultiDict({**headers, **({"Retry-After": wait} if wait else {})})
    fault = diagnosis.read(Response(status, sent_back, body), {"messages": [], "model": "gpt-4o"})
    assert isinstance(fault, Fault)
    return fault


def says(message: str, **rest: Any) -> bytes:
    return json.dumps({"error": {"message": message, **rest}}).encode()


REFUSED = f"{URL} refuses the key (HTTP %s: set MY_KEY to one that may use gpt-4o"
CREDIT = f"the account behind MY_KEY has no credit left at {URL} (HTTP %s)"
NO_MODEL = (
    f'there is no chat model "gpt-4o" at {URL} (HTTP %s): '
    "check the model's name and the base URL, which often ends in /v1"
)
ELSEWHERE = (
    f"{URL} redirects to %s (not followed, so that no key goes there): "
    "give the final base URL, or sign in first if that is the page of a network or a proxy"
)
A_PAGE = (
    f"a web page answers in place of {URL} (HTTP %s, an HTML page, “Sign in”): check the base URL, which often ends in "
    "/v1; if a proxy, a firewall or a network's sign-in page stands before it, get past that first"
)


@pytest.mark.parametrize(
    ("status", "body", "reason", "error", "said", "only_at_first"),
    [
        (307, b"", "HTTP 307", EndpointNotFound, ELSEWHERE % "nowhere", True),
        (400, b"Client sent an HTTP request to an HTTPS server.",
         "HTTP 400: Client sent an HTTP request to an HTTPS server.", EndpointNotFound,
         f"{URL} speaks TLS: give the base URL with https://", True),
        (402, says("Pay"), "HTTP 402: Pay", QuotaExhausted, CREDIT % "402: Pay", False),
        (400, says("credit balance is too low"), "HTTP 400: credit balance is too low", QuotaExhausted,
         CREDIT % "400: credit balance is too low", True),
        (401, says("bad key abc"), "HTTP 401: bad key abc", KeyRefused, REFUSED % "401)", False),
        (403, says("not allowed"), "HTTP 403: not allowed", KeyRefused, REFUSED % "403) (not allowed)", True),
        (403, says("key a**z"), "HTTP 403: key a**z", KeyRefused, REFUSED % "403)", True),
        (400, says("API key not valid"), "HTTP 400: API key not valid", KeyRefused,
         REFUSED % "400) (API key not valid)", True),
        (404, says("API key not valid"), "HTTP 404: API key not valid", KeyRefused,
         REFUSED % "404) (API key not valid)", True),
        (422, says("API key not valid"), "HTTP 422: API key not valid", KeyRefused,
         REFUSED % "422) (API key not valid)", True),
        (403, PAGE, "HTTP 403: an HTML page, “Sign in”", NotTheJudge, A_PAGE % 403, True),
        (511, PAGE, "HTTP 511: an HTML page, “Sign in”", NotTheJudge, A_PAGE % 511, False),
        (404, says("not here"), "HTTP 404: not here", EndpointNotFound, NO_MODEL % "404: not here", True),
        (402, b" ", "HTTP 402", QuotaExhausted, CREDIT % "402", False),
        (404, b"", "HTTP 404", EndpointNotFound, NO_MODEL % "404", True),
        (405, b"", "HTTP 405", EndpointNotFound, NO_MODEL % "405", True),
        (405, PAGE, "HTTP 405: an HTML page, “Sign in”", EndpointNotFound,
         NO_MODEL % "405: an HTML page, “Sign in”", True),
        (405, says("not so"), "HTTP 405: not so", EndpointNotFound, NO_MODEL % "405: not so", True),
        (400, says("model x does not exist"), "HTTP 400: model x does not exist", EndpointNotFound,
         NO_MODEL % "400: model x does not exist", True),
        (407, b"", "HTTP 407", NotTheJudge,
         f"the proxy before {URL} wants a login (HTTP 407): put its user and password into HTTP_PROXY", False),
    ],
)  # fmt: skip
def test_what_no_call_gets_past_is_one_sentence_with_its_remedy(
    status: int, body: bytes, reason: str, error: type, said: str, only_at_first: bool
) -> None:
    fault = fault_of(status, body)
    assert type(fault.fatal) is error
    assert str(fault.fatal) == said
    plain = Fault("rejected", reason, retry=False, status=status, only_at_first=only_at_first)
    assert replace(fault, fatal=None) == plain


def test_an_empty_account_is_told_from_too_many_requests_and_ends_the_run_whenever_it_comes() -> None:
    fault = fault_of(429, says("no", code="insufficient_quota"), wait="7")
    assert str(fault.fatal) == CREDIT % "429: no"
    assert replace(fault, fatal=None) == Fault(
        "rejected", "HTTP 429: no", retry=False, status=429, code="insufficient_quota"
    )
    assert fault_of(500, says("insufficient quota")).fatal is None


def test_a_redirect_names_where_to_without_its_query() -> None:
    fault = fault_of(308, Location="http://other.test/v1?key=1")
    assert str(fault.fatal) == ELSEWHERE % "http://other.test/v1"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (413, says("large"), Fault("too_long", "HTTP 413: large", retry=False, status=413)),
        (400, says("maximum context length is 8"),
         Fault("too_long", "HTTP 400: maximum context length is 8", retry=False, billed=True, status=400)),
        (400, says("flagged by moderation"),
         Fault("rejected", "HTTP 400: flagged by moderation", retry=False, billed=True, status=400,
               code="content_filter")),
        (400, says("bad", code="odd"),
         Fault("rejected", "HTTP 400: bad", retry=False, status=400, code="odd", only_at_first=True)),
    ],
)  # fmt: skip
def test_what_is_about_the_one_request_is_asked_once(status: int, body: bytes, expected: Fault) -> None:
    assert fault_of(status, body) == expected


RATE_LIMITED = Fault("rate_limited", "", patient=True, overload=True, unanswered=True, status=429)
BROKEN = Fault("server_error", "", overload=True, billed=True, unanswered=True)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, says("slow down"), replace(RATE_LIMITED, reason="HTTP 429: slow down")),
        (429, says("flagged by moderation"), replace(RATE_LIMITED, reason="HTTP 429: flagged by moderation")),
        (408, b"", Fault("timeout", "HTTP 408", billed=True, unanswered=True, status=408)),
        (409, b"", Fault("server_error", "HTTP 409", unanswered=True, status=409)),
        (500, says("oops"), replace(BROKEN, reason="HTTP 500: oops", status=500)),
        (500, says("flagged by moderation"), replace(BROKEN, reason="HTTP 500: flagged by moderation", status=500)),
        (502, PAGE, replace(BROKEN, reason="HTTP 502: an HTML page, “Sign in”", status=502)),
        (504, b"", replace(BROKEN, reason="HTTP 504", status=504)),
        (529, says("full"), replace(BROKEN, reason="HTTP 529: full", status=529, patient=True, billed=False)),
        (200, says("broken"), replace(BROKEN, reason="an error in HTTP 200: broken", status=500)),
        (200, says("slow", code=429), replace(RATE_LIMITED, reason="an error in HTTP 200: slow", code="429")),
    ],
)  # fmt: skip
def test_what_passes_by_itself_is_tried_again_when_the_server_says(status: int, body: bytes, expected: Fault) -> None:
    assert fault_of(status, body) == expected
    assert fault_of(status, body, wait="7") == replace(expected, retry_after_s=7.0)


@pytest.mark.parametrize("status", [425, 500, 503])
def test_a_model_that_is_being_loaded_is_waited_for_with_patience(status: int) -> None:
    for wait, seconds in (("", 3.0), ("9", 9.0)):
        fault = fault_of(status, says("warming up"), wait)
        assert type(fault.fatal) is EndpointDown
        assert str(fault.fatal) == f"{URL} still loads its model (warming up): run the command again once it has"
        assert replace(fault, fatal=None) == Fault(
            "server_error", f"HTTP {status}: warming up", patient=True, unanswered=True, retry_after_s=seconds,
            status=status, only_at_first=True, notice=f"{URL} is loading its model: waiting for it (warming up).",
        )  # fmt: skip
    assert not fault_of(502, says("warming up")).notice


def test_a_success_without_a_reply_is_billed_and_names_who_answers_instead() -> None:
    empty = Fault("bad_body", "the reply is empty", billed=True, only_at_first=True)
    assert fault_of(200) == empty
    usage = b'{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 0}}'
    assert fault_of(200, usage) == replace(empty, reason="the reply has no choices (an empty list)", usage=(3, 0))
    page = fault_of(200, PAGE)
    assert (type(page.fatal), str(page.fatal)) == (NotTheJudge, A_PAGE % 200)
    assert replace(page, fatal=None) == replace(empty, reason="an HTML page, “Sign in” came in place of a reply")
    other = fault_of(200, b'{"type": "message", "role": "assistant", "content": [{"type": "text", "text": "x"}]}')
    form = "a message in Anthropic's format: use the judge anthropic, or the server's /v1/chat/completions"
    assert (type(other.fatal), str(other.fatal)) == (NotTheJudge, f"{URL} answers, but with {form}")


def test_who_sent_no_key_is_asked_for_one_and_azure_gets_it_in_its_own_header() -> None:
    azure = "Access denied due to invalid subscription key"
    hint = "; Azure takes a key in a header of its own: --header api-key=MY_KEY"
    said = {sent: str(fault_of(401, says(azure), sent=sent).fatal) for sent in ("x-title", "authorization", "api-key")}
    assert said == {
        "x-title": f"{URL} asks for a key (HTTP 401): set MY_KEY{hint}",
        "authorization": f"{REFUSED % '401)'}{hint}",
        "api-key": REFUSED % "401)",
    }
