import json

import pytest
from typer.testing import CliRunner

import misbehaviours as does
from efficient_empathy.cli import app
from misbehaving_server import MisbehavingServer

SCORES = json.dumps({"sensibility": 6, "rationality": 2})


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """The command in a folder with one file of two samples."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"messages": [{"role": "user", "content": f"Story {i}."}, {"role": "assistant", "content": f"Reply {i}."}]}
        for i in range(2)
    ]
    (tmp_path / "chat.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return lambda *arguments, code=0: ran("score", arguments, code)


def ran(command, arguments, code=0):
    done = CliRunner().invoke(app, [command, *arguments])
    assert done.exit_code == code, done.output
    return done


def test_the_old_and_the_short_form_name_the_same_judge(cli) -> None:
    with MisbehavingServer(does.ok(SCORES)) as server:
        cli("chat.jsonl", "--run", "r", "--judge", "openai", "--model", "m", "--base-url", server.url)
        cli("chat.jsonl", "--run", "r", "--judge", f"openai:m@{server.url}")
        assert len(server.requests) == 2


@pytest.mark.parametrize("behaviour", [does.bad_request_quoting_the_url(), does.not_found(), does.ok(SCORES)])
@pytest.mark.parametrize("name", ["key", "api-key", "sig"])
def test_a_key_in_the_base_url_is_sent_and_stays_out_of_all_that_is_shown_or_kept(
    cli, tmp_path, behaviour, name
) -> None:
    with MisbehavingServer(behaviour) as server:
        url = f"{server.url}?{name}=hunter2-hunter2&api-version=2024-10-21"
        recipe = {"name": "r", "run": "r2", "data": {"source": "chat.jsonl"}}
        recipe |= {"score": {"judge": "openai", "model": "m", "base_url": url}}
        (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
        scoring = ["score", "chat.jsonl", "--run", "r", "--judge"]
        commands = [
            [*scoring, f"openai:m@{url}"],
            [*scoring, "openai", "--model", "m", "--base-url", url],
            *([*scoring, f"openai:m@http{wrong}h/v1"] for wrong in ("://u:hunter2@", "//u:hunter2@")),
            *([*scoring, f"opena:m@http{wrong}h/v1?key=hunter2"] for wrong in ("://u:hunter2@", "//u:hunter2@")),
            ["run", "recipe.yaml"],
        ]
        done = [CliRunner().invoke(app, command) for command in commands]
        assert server.requests
    (tmp_path / "recipe.yaml").unlink()
    assert (tmp_path / "r2" / "recipe.yaml").exists()
    texts = [one.output for one in done]
    kept = [path.read_bytes().decode("latin1") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 4
    assert not [text for text in (*texts, *kept) if "hunter2" in text]


@pytest.mark.parametrize("last", [0, 1])
def test_a_bill_above_its_bound_ends_the_run_with_the_figures_and_keeps_the_reply(cli, last) -> None:
    def script(body, number):
        return does.ok(SCORES, usage=(900_000_000, 9) if number == last else (100, 9))

    limited = ["--model", "gpt-4o-mini", "--max-cost", "0.05"]
    with MisbehavingServer(script) as server:
        done = cli("chat.jsonl", "--run", "r", "--judge", "openai", *limited, "--base-url", server.url, code=1)
        assert len(server.requests) == last + 1
        assert "billed $135 (900,000,000 prompt and 9 completion tokens)" in done.output
        assert "the limit of $0.05 cannot be kept" in done.output
        assert f"{last + 1} of 2 samples are judged and kept" in done.output


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_where_every_judgement_failed_it_says_why_and_exits_1_until_one_has_a_score(cli, form) -> None:
    with MisbehavingServer(does.refusal()) as server:
        judge = ["chat.jsonl", "--run", "r", "--judge", f"openai:m@{server.url}"]
        failed = cli(*judge, *form, code=1)
        assert "no sample has a score, since all 2 judgements failed: 2 × " in " ".join(failed.stderr.split())
        assert "2 refused" in failed.stdout or json.loads(failed.stdout)["states"]["refused"] == 2
    with MisbehavingServer(does.ok(SCORES)) as server:
        cli("chat.jsonl", "--run", "r", "--judge", f"openai:n@{server.url}", *form)


def test_a_share_of_failures_above_the_limit_exits_1_and_keeps_all(cli, tmp_path) -> None:
    script = lambda body, number: does.refusal() if number == 0 else does.ok(SCORES)  # noqa: E731
    with MisbehavingServer(script) as server:
        judge = ["chat.jsonl", "--judge", f"openai:m@{server.url}", "--concurrency", "1"]
        failed = cli(*judge, "--run", "r", "--max-failed", "0.4", code=1)
        said = " ".join(failed.stderr.split())
        assert "1 of 2 judged samples (50.0%) have no score, more than --max-failed 0.4 allows: 1 × " in said
        assert "1 ok, 1 refused" in failed.stdout
        assert "efficient-empathy replies r" in failed.stdout
    with MisbehavingServer(script) as server:
        judge = ["chat.jsonl", "--judge", f"openai:m@{server.url}", "--concurrency", "1"]
        cli(*judge, "--run", "r2", "--max-failed", "0.5")
        recipe = {"name": "r", "run": "r3", "data": {"source": "chat.jsonl"}}
        recipe |= {"score": {"judge": f"openai:n@{server.url}", "max_failed": 0}, "select": {}}
    with MisbehavingServer(script) as server:
        recipe["score"]["judge"] = f"openai:n@{server.url}"
        (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
        done = ran("run", ["recipe.yaml"], 1)
        assert "more than --max-failed 0 allows" in " ".join(done.stderr.split())
        assert not (tmp_path / "r3" / "selection").exists()


def test_a_budget_too_small_for_one_request_is_no_success(cli) -> None:
    with MisbehavingServer(does.ok(SCORES)) as server:
        judge = f"openai:gpt-4o-mini@{server.url}"
        done = cli("chat.jsonl", "--run", "r", "--judge", judge, "--max-cost", "0", code=1)
        assert not server.requests
    assert "no sample has a score: the budget does not cover one request" in " ".join(done.stderr.split())


def test_a_judge_that_says_the_same_of_all_is_warned_about_here_and_by_what_follows(cli, tmp_path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": f"Story {i}."}, {"role": "assistant", "content": f"Reply {i}."}]}
        for i in range(12)
    ]
    (tmp_path / "more.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    with MisbehavingServer(does.ok(SCORES)) as server:
        judge = ["more.jsonl", "--run", "r", "--judge", f"openai:m@{server.url}"]
        text = cli(*judge).stdout
        warnings = json.loads(cli(*judge, "--json").stdout)["warnings"]
    assert "Warning: sensibility is 6 for all 12 samples" in text
    assert [one.split()[0] for one in warnings] == ["sensibility", "rationality"]
    done = ran("select", ["--run", "r"])
    assert "Warning: sensibility is 6 for all 12 samples" in done.stdout
    assert "Warning: the subset rationality is empty" in done.stdout
    ran("report", ["--run", "r"])
    assert "sensibility is 6 for all 12 samples" in (tmp_path / "r" / "report.html").read_text("utf-8")


def test_an_ensemble_then_a_refresh_tells_what_it_did_and_what_is_next(cli) -> None:
    with MisbehavingServer(does.ok(SCORES)) as server:
        judges = [item for model in "ab" for item in ("--judge", f"openai:{model}@{server.url}")]
        text = cli("chat.jsonl", "--run", "r", *judges, "--pool", "vote").output
        assert "b: 2 ok" in text
        assert "vote" in text
        plan = json.loads(ran("refresh", ["--run", "r", "--dry-run", "--json"]).stdout)
        assert (plan["targets"], plan["requests"], len(plan["members"])) == (2, 4, 2)
        text = ran("refresh", ["--run", "r"]).output
    assert len(server.requests) == 8
    assert "2 uncertain samples: 2 within reach of a threshold" in text
    assert "0 of them changed subset" in text
    assert "select --run r --policy paper --threshold alpha=5 --threshold beta=5" in text


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["chat.jsonl", "--run", "r", "--judge", "oracle"], 1, "names no judge"),
        (["--run", "r"], 2, "Missing argument"),
        (["chat.jsonl", "--run", "r", "--reach", "2"], 2, "No such option"),
        (["chat.jsonl", "--run", "r", "--pool", "mean"], 1, "more than one judge"),
        (["chat.jsonl", "--run", "r", "--model", "m"], 1, "model is an option of the judge openai or anthropic"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(cli, arguments, code, said) -> None:
    assert said in " ".join(cli(*arguments, code=code).output.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--run", "r", "--which", "all"], "no run's folder"),
        (["--run", ".", "--which", "all"], "no scores to refresh"),
        (["--run", ".", "--which", "some"], "--which"),
    ],
)
def test_what_cannot_be_refreshed_is_said_in_one_sentence(cli, arguments, said) -> None:
    assert said in " ".join(ran("refresh", arguments, 1).output.split())
