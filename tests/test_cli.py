import contextlib
import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner, Result

from efficient_empathy.cli import COMMANDS, app
from efficient_empathy.cli.lazy import commands_of
from efficient_empathy.recipe import DIALOGUES
from samples import FORM

ALL = commands_of(COMMANDS)


def run(*arguments: str, cwd=None, code: int = 0) -> Result:
    """Run a command in this process, which is spared the start of another; `test_in_a_process_of_its_own` has that."""
    with contextlib.chdir(cwd or "."):
        done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == code, done.stderr
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.stderr
    return done


def in_a_process(*arguments: str, cwd) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "efficient_empathy", *arguments], capture_output=True, text=True, cwd=cwd, check=False
    )


def test_in_a_process_of_its_own(tmp_path) -> None:
    judged(tmp_path / "judged.json")
    done = in_a_process("score", "judged.json", "--run", "r", "--judge", "replay", "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["samples"]) == (0, 40)
    failed = in_a_process("select", "--run", "nowhere", cwd=tmp_path)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("Error: nowhere is no run's folder")
    assert "Traceback" not in failed.stderr


def judged(path, n: int = 40):
    rows = [
        {"context": f"story {i}", "response": f"reply {i}", "evaluation": FORM.format(i % 11, (3 * i) % 11)}
        for i in range(n)
    ]
    path.write_text(json.dumps(rows), "utf-8")
    return path


def test_from_judged_replies_to_subsets_and_a_page(tmp_path) -> None:
    judged(tmp_path / "judged.json")
    scored = json.loads(run("score", "judged.json", "--run", "r", "--judge", "replay", "--json", cwd=tmp_path).stdout)
    assert scored["samples"] == 40
    assert scored["states"] == {"ok": 40, "parse_error": 0, "api_error": 0, "refused": 0}
    assert scored["cost_usd"] == 0
    selected = json.loads(run("select", "--run", "r", "--json", cwd=tmp_path).stdout)
    expected = {"sensibility": 0, "rationality": 0, "discard": 0}
    for i in range(40):
        s, r = i % 11, (3 * i) % 11
        expected["rationality" if r > 5 else "sensibility" if s > 5 and r < 5 else "discard"] += 1
    assert selected["subsets"] == expected
    assert (selected["policy"], selected["thresholds"]) == ("paper", {"alpha": 5, "beta": 5})
    for name, count in expected.items():
        lines = (tmp_path / "r" / "selection" / f"{name}.jsonl").read_text("utf-8").splitlines()
        assert len(lines) == count
    page = json.loads(run("report", "--run", "r", "--json", cwd=tmp_path).stdout)["path"]
    assert (tmp_path / page).stat().st_size > 10_000


def test_in_words_it_says_what_to_do_next(tmp_path) -> None:
    judged(tmp_path / "judged.json")
    assert (
        "Next: efficient-empathy select --run r"
        in run("score", "judged.json", "--run", "r", "--judge", "replay", cwd=tmp_path).stdout
    )
    assert "sensibility" in run("select", "--run", "r", cwd=tmp_path).stdout


def test_top_takes_a_count_a_fraction_or_quotas(tmp_path) -> None:
    judged(tmp_path / "judged.json")
    run("score", "judged.json", "--run", "r", "--judge", "replay", cwd=tmp_path)
    top = json.loads(run("select", "--run", "r", "--policy", "top", "--top", "5", "--json", cwd=tmp_path).stdout)
    assert top["subsets"]["sensibility"] == 5
    tenth = json.loads(run("select", "--run", "r", "--policy", "top", "--top", "0.1", "--json", cwd=tmp_path).stdout)
    assert tenth["subsets"]["rationality"] == 4


def test_inspect_says_what_a_source_is(tmp_path) -> None:
    found = json.loads(run("inspect", DIALOGUES, "--json").stdout)
    assert (found["format"], found["samples"], found["conversations"]) == ("messages", 964, 512)
    assert (found["categories"], found["bad_rows"]) == (32, 0)
    text = run("inspect", DIALOGUES).stdout
    assert "964" in text
    assert "Listener" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["score", "nowhere.json", "--run", "r"], "nowhere.json"),
        (["select", "--run", "nowhere"], "score"),
        (["report", "--run", "nowhere"], "score"),
        (["score", "judged.json", "--run", "r", "--judge", "openai"], "--model"),
        (["score", "judged.json", "--run", "r", "--judge", "openai", "--model", "m", "--base-url", "ftp://x"], "http"),
        (["score", "judged.json", "--run", "r", "--rubric", "nowhere.yaml"], "nowhere.yaml"),
        (["score", "judged.json", "--run", "r", "--format", "csvv"], "csvv"),
        (["inspect", "judged.json", "--column", "response"], "NAME=VALUE"),
        (["distill", "--run", "nowhere", "-o", "d"], "score"),
    ],
)
def test_a_users_error_is_one_sentence_and_exit_1(tmp_path, arguments: list[str], said: str) -> None:
    judged(tmp_path / "judged.json")
    done = run(*arguments, cwd=tmp_path, code=1)
    assert done.stderr.startswith("Error: ")
    assert said in done.stderr
    assert done.stdout == ""


def test_bad_usage_is_exit_2() -> None:
    assert "--run" in run("score", "x.json", code=2).stderr
    assert "No such command" in run("scor", code=2).stderr


@pytest.mark.parametrize("command", list(ALL))
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = CliRunner().invoke(app, [*command.split(), "--help"])
    assert done.exit_code == 0, done.output
    assert f"Example: efficient-empathy {command}" in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("words", "at", "completions"),
    [
        ("efficient-empathy pr", 1, ["predict", "prompts"]),
        ("efficient-empathy prompts go", 2, ["golden"]),
        ("efficient-empathy train --learn", 2, ["--learning-rate"]),
        ("efficient-empathy train --method l", 3, ["lora"]),
    ],
)
def test_the_shell_completes_commands_options_and_choices(words: str, at: int, completions: list[str]) -> None:
    told = {"_EFFICIENT_EMPATHY_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(at)}
    code = "from efficient_empathy.cli import app; app(prog_name='efficient-empathy')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **told}
    )
    assert done.stdout.split() == completions, done.stderr


def test_start_up_imports_nothing_heavy() -> None:
    heavy = ("polars", "aiohttp", "onnxruntime", "torch", "pydantic", "rich.console")
    code = (
        "import sys; from efficient_empathy.cli import app; app(['--help'], standalone_mode=False); "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_wrong_value_names_its_flag_and_a_wrong_key_the_file(tmp_path) -> None:
    told = ["train", "--run", "r", "--subset", "sensibility"]
    assert "Error: --learning-rate: Input should be greater than 0" in run(*told, "--learning-rate", "0", code=1).stderr
    assert "Error: --batch-size: Input should be a valid integer" in run(*told, "--batch-size", "few", code=1).stderr
    (tmp_path / "mine.yaml").write_text("lora:\n  r: 0\n")
    done = run(*told, "--settings", "mine.yaml", "--epochs", "2", cwd=tmp_path, code=1)
    assert "mine.yaml: lora.r: Input should be greater than or equal to 1" in " ".join(done.stderr.split())


def test_a_closed_pipe_is_no_error(tmp_path) -> None:
    command = f"{sys.executable} -m efficient_empathy inspect {DIALOGUES} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env={**os.environ})
    assert "Traceback" not in done.stderr
