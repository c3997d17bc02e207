"""What clients are told: scores that are those of `score` and `select`, and errors as JSON."""

import contextlib
import json
import socket
import threading
from dataclasses import replace

import polars as pl
import pytest

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.stage import score
from efficient_empathy.selection import select
from efficient_empathy.service.app import SMALL
from efficient_empathy.service.guard import BODY_LIMIT
from efficient_empathy.service.scorer import Scorer
from efficient_empathy.service.serving import load_served
from efficient_empathy.service.settings import TOKEN_VARIABLE, ServiceSettings
from efficient_empathy.web.connections import Limits
from service_server import MESSAGES, SAMPLE, bundled, serving

TOKEN = "0123456789abcdef-of-the-test"
SOURCE = [SAMPLE, {"messages": MESSAGES}, *({**SAMPLE, "response": f"i would try again number {i}"} for i in range(40))]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("kept")) as running:
        yield running


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that the bundled judge has scored, selected at other thresholds than the policy's own."""
    root = tmp_path_factory.mktemp("runs") / "first"
    rows = [one if "messages" in one else {"messages": [
        {"role": "user", "content": one["context"]}, {"role": "assistant", "content": one["response"]}]}
        for one in SOURCE]  # fmt: skip
    source = root.parent / "source.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    workspace = Workspace(root)
    score(source, workspace, ["distilled"], Rubric.load(None), {})
    select(workspace, alpha=4, beta=3)
    return workspace


def flat(answer) -> list[dict]:
    return [sample for result in answer["results"] for sample in result["samples"]]


def test_scores_and_probabilities_are_those_of_score_and_select(run) -> None:
    """Two views of one number: the service's and the run's."""
    kept = pl.read_parquet(run.scores).join(
        pl.read_parquet(run.assignments).select("sample_id", "^p_.*$"), on="sample_id", how="left"
    )
    with serving(served=load_served(ServiceSettings(threads=2), run.root)) as service:
        told = {sample["sample_id"]: sample for sample in flat(service.score(SOURCE))}
    assert set(told) == set(kept["sample_id"])
    for row in kept.iter_rows(named=True):
        sample = told[row["sample_id"]]
        for axis in ("sensibility", "rationality"):
            assert sample["scores"][axis] == pytest.approx(row[axis], abs=1e-4)
            assert sample["std"][axis] == pytest.approx(row[f"{axis}_std"], abs=1e-4)
        p = {subset: row[f"p_{subset}"] for subset in ("sensibility", "rationality", "discard")}
        assert sample["p"] == pytest.approx(p, abs=1e-4)
        assert sample["subset"] == max(p, key=p.get)
        assert sample["reason"].endswith("; the most probable")


def test_a_run_that_was_selected_on_scores_is_served_on_scores(run, tmp_path) -> None:
    select(run, alpha=4, beta=3, decide="scores")
    try:
        served = load_served(ServiceSettings(threads=2), run.root)
        kept = {row["sample_id"]: row for row in pl.read_parquet(run.assignments).iter_rows(named=True)}
        with serving(served=served) as service:
            for sample in flat(service.score(SOURCE)):
                row = kept[sample["sample_id"]]
                assert (sample["subset"], sample["reason"]) == (row["subset"], row["reason"])
    finally:
        select(run, alpha=4, beta=3)


def test_one_and_many_are_answered_alike_and_in_order(service) -> None:
    one, many = service.score(SAMPLE), service.score([{"messages": MESSAGES}, 7, SAMPLE])
    assert one["states"] == {"ok": 1}
    assert [(result["item"], result["state"], len(result["samples"])) for result in many["results"]] == [
        (0, "ok", 2), (1, "invalid", 0), (2, "ok", 1),
    ]  # fmt: skip
    assert many["states"] == {"ok": 2, "invalid": 1}
    assert many["results"][1]["reason"] == "it is '7', not a JSON object"
    assert many["results"][2]["samples"] == one["results"][0]["samples"]
    last = service.score(MESSAGES, "?turns=last")["results"][0]["samples"]
    assert last == many["results"][0]["samples"][1:]


def test_a_large_body_is_read_off_the_loop_and_answered_alike(service) -> None:
    blown = {**SAMPLE, "note": "x" * SMALL}
    assert service.score(blown)["results"] == service.score(SAMPLE)["results"]


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "error"),
    [
        ("/v1/score", b"{", {}, 400, "the body cannot be read: not JSON"),
        ("/v1/score", b"[" * 50_000, {}, 400, "the body cannot be read"),
        ("/v1/score?turns=some", SAMPLE, {}, 400, "turns is 'some': it is all (every reply is scored) or last."),
        ("/v1/score", [SAMPLE] * 1001, {}, 413, "the body has 1,001 conversations and 1,000 are taken at once"),
        ("/v1/score", b" " * (BODY_LIMIT + 1), {}, 413, "The request is larger than 10,485,760 bytes."),
        ("/v1/score", SAMPLE, {"Content-Encoding": "gzip"}, 415, "The service takes no compressed bodies"),
        ("/v1/score", SAMPLE, {"Origin": "http://evil.example"}, 403, "The service answers no pages of other sites"),
        ("/v1/score", SAMPLE, {"Host": "evil.example"}, 403, "The service does not go by that name (Host)"),
        ("/v1/score", None, {}, 405, "This address does not take that method"),
        ("/v2/score", SAMPLE, {}, 404, "There is nothing at this address"),
    ],
)
def test_errors_are_json_with_a_sentence(service, path, content, headers, status, error) -> None:
    got, answer_headers, answer = service.ask(path, content, headers)
    assert (got, list(answer)) == (status, ["error"])
    assert answer["error"].startswith(error)
    assert answer_headers["cache-control"] == "no-store"


def test_ten_megabytes_without_a_length_are_broken_off(service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        with contextlib.suppress(ConnectionError):
            for _ in range(12):
                connection.sendall(chunk)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_token_is_required_of_all_but_the_open_addresses(monkeypatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    with serving() as service:
        right, wrong = {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": f"Bearer {TOKEN}x"}
        assert service.ask("/v1/score", SAMPLE, {**right, "Host": "any.name"})[0] == 200
        for path in ("/v1/score", "/v1/status", "/metrics"):
            for headers in ({}, wrong, {"Authorization": f"Basic {TOKEN}"}):
                status, answer_headers, answer = service.ask(path, headers=headers)
                assert (status, answer_headers["www-authenticate"]) == (401, "Bearer")
                assert TOKEN not in str(answer)
        for path in ("/health", "/ready", "/openapi.json", "/"):
            assert service.ask(path)[0] == 200
        for _ in range(10):
            status = service.ask("/v1/status", headers=wrong)[0]
        assert status == 429
        assert service.ask("/v1/status", headers=right)[0] == 200


def test_tokens_of_a_file_change_while_it_runs(tmp_path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# the first\n{TOKEN}\n", "utf-8")
    with serving(token_file=file) as service:

        def status(token: str) -> int:
            return service.ask("/v1/status", headers={"Authorization": f"Bearer {token}"})[0]

        assert [status(TOKEN), status(f"{TOKEN}-2")] == [200, 401]
        file.write_text(f"{TOKEN}\n{TOKEN}-2\n", "utf-8")
        assert [status(TOKEN), status(f"{TOKEN}-2")] == [200, 200]
        file.write_text(f"{TOKEN}-2\n", "utf-8")
        assert [status(TOKEN), status(f"{TOKEN}-2")] == [401, 200]
        file.unlink()
        assert status(f"{TOKEN}-2") == 401


class Slow(Scorer):
    """A judge that waits until it is let go."""

    def __init__(self) -> None:
        super().__init__(bundled().scorer.predictor)
        self.gate = threading.Event()

    def __call__(self, samples):
        assert self.gate.wait(30)
        return super().__call__(samples)


def test_a_service_with_too_much_to_do_says_when_to_come_again() -> None:
    judge = Slow()
    with serving(served=replace(bundled(), scorer=judge), threads=1, max_waiting=8) as service:
        answers: list[tuple] = []
        threads = [
            threading.Thread(target=lambda: answers.append(service.ask("/v1/score", [SAMPLE] * 4))) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        while sum(status == 503 for status, *_ in answers) < 3:  # one is judged, two wait
            pass
        full = next(answer for answer in answers if answer[0] == 503)
        assert int(full[1]["retry-after"]) >= 1
        assert full[2]["error"].startswith("The service has more to judge than it can: try again in")
        assert service.ask("/ready")[0] == 503
        assert service.ask("/health")[0] == 200
        judge.gate.set()
        for thread in threads:
            thread.join()
        assert sorted(status for status, *_ in answers) == [200, 200, 200, 503, 503, 503]
        assert service.ask("/ready")[0] == 200


def test_a_request_has_its_time_and_who_leaves_takes_its_samples_along() -> None:
    judge = Slow()
    with serving(served=replace(bundled(), scorer=judge), threads=1, timeout=0.2) as service:
        status, headers, answer = service.ask("/v1/score", [SAMPLE] * 50)
        assert (status, answer["error"].split(":")[0]) == (503, "The request took more than 0.2 s")
        assert "retry-after" in headers
        body = json.dumps([SAMPLE] * 50).encode()
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
            head = f"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            while service.ask("/v1/status")[2]["waiting"] == 0:
                pass
        while service.ask("/v1/status")[2]["waiting"]:
            pass
        judge.gate.set()


class Broken(Scorer):
    """A judge with a fault that quotes what it was given."""

    def __call__(self, samples):
        raise KeyError(samples[0].response)


def test_a_fault_is_logged_with_its_place_and_without_text(caplog) -> None:
    with serving(served=replace(bundled(), scorer=Broken(bundled().scorer.predictor))) as service:
        status, _, answer = service.ask("/v1/score", SAMPLE)
        assert (status, answer["error"][:40]) == (500, "Something went wrong in the service; its")
        assert service.ask("/v1/status")[2]["last_hour"]["requests"] == {"500": 1}
    (record,) = caplog.records
    assert "POST '/v1/score' failed: KeyError" in record.getMessage()
    assert "in __call__" in record.getMessage()
    assert SAMPLE["response"] not in caplog.text


def test_many_at_once_are_answered_or_told_to_come_again() -> None:
    """Ten times as many connections as there may be; none is cut off without an answer."""
    with serving(limits=Limits(in_all=20, from_one=20, grace_s=5)) as service:
        statuses: list[int] = []
        body = json.dumps(SAMPLE).encode()

        def ask() -> None:
            with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
                head = f"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)
                statuses.append(int(connection.recv(65536).split()[1]))

        threads = [threading.Thread(target=ask) for _ in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(statuses) == 200
        assert set(statuses) <= {200, 503}
        assert statuses.count(200) >= 20
        assert service.ask("/v1/score", SAMPLE)[0] == 200


def test_the_description_names_every_address(service) -> None:
    document = service.ask("/openapi.json")[2]
    page = service.ask("/")[2]
    for path, operations in document["paths"].items():
        assert path in page
        for method in operations:
            assert service.ask(path, method=method.upper())[0] not in (404, 405)
    assert set(document["components"]["schemas"]["Sample"]["properties"]) == set(flat(service.score(SAMPLE))[0])
    assert set(document["components"]["schemas"]["Answer"]["properties"]) == set(service.score(SAMPLE))
