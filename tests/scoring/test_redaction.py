import io
import json

import pytest
from rich.console import Console

import misbehaviours as does
from efficient_empathy.dialogues import Sample, Utterance, scan_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.refresh.settings import RefreshSettings
from efficient_empathy.labelling.refresh.stage import refresh
from efficient_empathy.report import report
from efficient_empathy.scoring import Ledger
from efficient_empathy.scoring.record import ScoreRecord
from efficient_empathy.scoring.stage import score, summary
from efficient_empathy.selection import select
from misbehaving_server import MisbehavingServer

JSON = json.dumps({"sensibility": 8, "rationality": 2})
SECRETS = ("ana@example.org", "212-555-0123", "4111 1111 1111 1111", "@luna_draws")
TEXTS = [
    f"Write to {SECRETS[0]} or ring {SECRETS[1]}.",
    f"They charged {SECRETS[2]}, and {SECRETS[0]} knows it.",
    f"I am {SECRETS[3]} and I am sad.",
    "My dog died on 2019-10-12.",
]


@pytest.fixture
def source(tmp_path):
    rows = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "I am sorry."}]}
        for text in TEXTS
    ]
    path = tmp_path / "dialogues.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def server():
    with MisbehavingServer(does.ok(JSON)) as server:
        yield server


def judge(source, workspace, server, **options):
    options = {"model": "m", "base_url": server.url, **options}
    return score(source, workspace, "openai", options=options, console=Console(file=io.StringIO()))


def sent(server) -> str:
    return json.dumps(server.requests, ensure_ascii=False)


def test_what_is_sent_has_placeholders_and_what_is_kept_has_the_text(source, server, tmp_path) -> None:
    workspace = Workspace(tmp_path / "run")
    result = judge(source, workspace, server, redact=True)
    assert result.states["ok"] == 4
    assert [secret for secret in SECRETS if secret in sent(server)] == []
    assert "Write to [EMAIL] or ring [PHONE]." in sent(server)
    assert "My dog died on 2019-10-12." in sent(server)
    assert [sample.context[0].text for chunk in scan_samples(workspace.samples, 9) for sample in chunk] == TEXTS
    select(workspace)
    exported = "".join(path.read_text("utf-8") for path in workspace.root.rglob("*.jsonl"))
    assert [secret for secret in SECRETS if secret not in exported] == []


def test_no_hash_of_the_text_goes_out_from_which_a_number_could_be_guessed(source, server, tmp_path) -> None:
    judge(source, Workspace(tmp_path / "run"), server, redact=True)
    ids = [Sample.of([Utterance("speaker", text)], "I am sorry.").id[:12] for text in TEXTS]
    assert [known_by in sent(server) for known_by in ids] == [False, False, False, True]


def test_the_manifest_says_what_was_replaced_and_so_does_the_summary(source, server, tmp_path) -> None:
    workspace = Workspace(tmp_path / "run")
    result = judge(source, workspace, server, redact=True)
    redaction = workspace.stage("score", ScoreRecord).redaction
    assert result.redaction == redaction
    assert redaction.samples == 3
    assert redaction.placeholders == {"[EMAIL]": 2, "[PHONE]": 1, "[CARD]": 1, "[ACCOUNT]": 1}
    text = "3 samples were judged with placeholders in their texts (2 [EMAIL], 1 [PHONE], 1 [CARD], 1 [ACCOUNT])"
    assert text in summary(result, workspace.root)
    select(workspace)
    report(workspace)
    page = (workspace.root / "report.html").read_text("utf-8")
    row = page.partition("samples judged with placeholders for personal data")[2]
    assert row.startswith('</th><td class="n">3<')


def test_a_judgement_of_the_redacted_text_is_none_of_the_text(source, server, tmp_path) -> None:
    workspace = Workspace(tmp_path / "run")
    assert judge(source, workspace, server, redact=True).requests == 4
    assert judge(source, workspace, server, redact=True).requests == 0
    whole = judge(source, workspace, server)
    assert (whole.requests, whole.redaction) == (4, None)
    assert "redaction" not in whole.model_dump()
    assert workspace.stage("score", ScoreRecord).redaction is None
    with Ledger(workspace.ledger, read_only=True) as ledger:
        assert [spec.settings.get("redact") for spec in ledger.specs()] == [1, None]


def test_asked_again_a_judge_that_redacts_still_does(source, server, tmp_path) -> None:
    workspace = Workspace(tmp_path / "run")
    judge(source, workspace, server, redact=True)
    refresh(workspace, settings=RefreshSettings(which="all"), console=Console(file=io.StringIO()))
    assert len(server.requests) == 8
    assert [secret for secret in SECRETS if secret in sent(server)] == []
    assert workspace.stage("score", ScoreRecord).redaction.samples == 3


def test_a_judge_that_sends_nothing_does_not_take_the_option(source, tmp_path) -> None:
    with pytest.raises(UserError, match="redact is an option of the judge openai or anthropic"):
        score(source, Workspace(tmp_path / "run"), "distilled", options={"redact": True})
