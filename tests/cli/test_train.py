import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from efficient_empathy.cli import app

RUNNER = CliRunner()


def test_the_help_is_light_and_has_an_example() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom efficient_empathy.cli import app\n"
        "out = CliRunner().invoke(app, ['train', '--help']).output\nprint(out)\n"
        "print([name for name in ('torch', 'transformers', 'trl', 'peft') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    assert "Example: efficient-empathy train --run" in done.stdout
    for option in ("--subset", "--base", "--method", "--mlp-only", "--processes", "--settings", "--set", "--json"):
        assert option in done.stdout


def test_an_expert_is_trained_and_told_as_one_json_object(tmp_path) -> None:
    pytest.importorskip("trl", reason='needs the extra "train"')
    from selected_runs import selected_run
    from tiny_models import tiny_model

    run = selected_run(tmp_path / "run")
    base = tiny_model(tmp_path / "base")
    settings = tmp_path / "settings.yaml"
    settings.write_text("held_out: 0.1\nlora:\n  r: 2\n")
    arguments = ["train", "--run", str(run.root), "--subset", "union", "--base", str(base), "--batch-size", "8",
                 "--settings", str(settings), "--set", "lora.alpha=4", "--learning-rate", "0.01"]  # fmt: skip
    done = RUNNER.invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert (result["name"], result["skipped"]) == ("union", False)
    assert result["settings"]["lora"] == {"r": 2, "alpha": 4.0, "dropout": 0.1, "targets": "all-linear"}
    assert result["held_out"][-1]["loss"]["all"] < result["held_out"][0]["loss"]["all"]
    again = RUNNER.invoke(app, arguments)
    assert "nothing had changed" in again.stdout
    assert f"Next: efficient-empathy mix --run {run.root}" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--subset", "kind"], "there is no subset 'kind'"),
        (["--subset", "all", "--set", "epoch=2"], "epoch is no key: did you mean epochs?"),
        (["--subset", "all", "--set", "epochs"], "--set takes NAME=VALUE"),
        (["--subset", "all", "--base", "/no/where"], "there is no model at /no/where"),
        (["--subset", "all", "--settings", "/no/where.yaml"], "cannot read the training settings"),
    ],
)
def test_a_users_error_is_one_sentence_and_exit_status_1(tmp_path, arguments, message) -> None:
    pytest.importorskip("trl", reason='needs the extra "train"')
    from selected_runs import selected_run
    from tiny_models import tiny_model

    selected_run(tmp_path / "run", 12)
    base = [] if "--base" in arguments else ["--base", str(tiny_model(tmp_path / "base"))]
    done = RUNNER.invoke(app, ["train", "--run", str(tmp_path / "run"), *arguments, *base])
    assert done.exit_code == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
