import json

from typer.testing import CliRunner

import misbehaviours as does
from efficient_empathy.cli import app
from misbehaving_server import MisbehavingServer


def invoke(*arguments: str, code: int = 0):
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return done


def test_what_a_real_server_said_can_be_read_and_parsed(tmp_path) -> None:
    row = {"messages": [{"role": "user", "content": "I lost my keys."}, {"role": "assistant", "content": "Oh no :("}]}
    (tmp_path / "chat.jsonl").write_text(json.dumps(row), "utf-8")
    run = str(tmp_path / "run")
    with MisbehavingServer(does.ok("I like [it] :smile:")) as server:
        invoke("score", str(tmp_path / "chat.jsonl"), "--run", run, "--judge", f"openai:m@{server.url}", code=1)
    text = invoke("replies", run, "--state", "parse_error").stdout
    for piece in ("1 parse_error", "no value for sensibility", "Speaker: I lost my keys.", "Listener: Oh no :("):
        assert piece in text
    assert "Reply: I like [it] :smile:" in text
    (reply,) = json.loads(invoke("replies", run, "--json").stdout)["replies"]
    assert (reply["raw"], reply["state"], reply["judge"]) == ("I like [it] :smile:", "parse_error", "m")


def test_a_folder_that_is_no_run_is_one_sentence(tmp_path) -> None:
    done = invoke("replies", str(tmp_path), code=1)
    assert "holds no replies" in " ".join(done.stderr.split())
