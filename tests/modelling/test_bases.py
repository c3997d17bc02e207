"""What a stranger's run or adapter may have loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.permissions import Permission, allow, remember
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.bases import check_model
from efficient_empathy.modelling.generation.target import resolve
from efficient_empathy.modelling.moe.checkpoint import open_checkpoint
from efficient_empathy.modelling.training.models import base_of, bundled_base, load_model
from local_server import LocalServer

CONFIG = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
pytestmark = pytest.mark.usefixtures("nothing_allowed")


class Hub(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        self.send_error(404)

    def do_GET(self) -> None:
        self.do_HEAD()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a hub is asked for meanwhile; nothing, mostly."""
    import huggingface_hub.constants as constants

    Hub.asked = []
    with LocalServer(Hub) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.port}")
        yield Hub.asked


def adapter(run: Path, base: str, **config: Any) -> Path:
    """An adapter in a run, as its author likes it."""
    folder = Workspace(run).experts / "sensibility"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(
        json.dumps({**CONFIG, "base_model_name_or_path": base, **config}), "utf-8"
    )
    (folder / "adapter_model.safetensors").write_bytes(b"")
    return folder


@pytest.mark.parametrize("load", [base_of, load_model, open_checkpoint])
def test_a_runs_adapter_has_no_hub_called(load: Any, tmp_path: Path, hub: list[str]) -> None:
    folder = adapter(tmp_path / "run", "strange/base")
    with pytest.raises(UserError, match=r"asks to load strange/base from .* add --allow hub:strange/base"):
        load(folder)
    assert not hub


@pytest.mark.parametrize("load", [base_of, load_model, open_checkpoint])
def test_a_runs_adapter_has_nothing_loaded_from_outside(load: Any, tmp_path: Path) -> None:
    outside = tmp_path / "private"
    shutil.copytree(bundled_base(), outside)
    folder = adapter(tmp_path / "run", str(outside))
    with pytest.raises(UserError, match=rf"asks to read {outside}, .* add --allow read:{outside}"):
        load(folder)
    with allow([f"read:{outside}"]):
        assert base_of(folder) == outside
    remember([Permission("read", str(outside))])
    assert base_of(folder) == outside, "as after a training of the user's own"


def test_a_runs_adapter_may_have_the_bundled_base_and_one_in_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert base_of(adapter(run, str(bundled_base()))) == bundled_base()
    shutil.copytree(bundled_base(), run / "base")
    shutil.rmtree(Workspace(run).experts)
    assert base_of(adapter(run, str(run / "base"))) == run / "base"
    shutil.rmtree(Workspace(run).experts)
    gone = tmp_path / "earlier" / "efficient_empathy" / "assets" / "base"
    elsewhere = adapter(run, str(gone))
    assert base_of(elsewhere) == bundled_base(), "of another machine, or of an installation that is gone"
    shutil.copytree(bundled_base(), gone)
    assert base_of(elsewhere) == bundled_base(), "of another installation that has the same base"
    (gone / "config.json").write_text("{}")
    with pytest.raises(UserError, match="--allow read:"):
        base_of(elsewhere)
    shutil.rmtree(Workspace(run).experts)
    adapter(run, str(run / "base"))
    (run / "base" / "extra.json").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="--allow read:/etc/hostname"):
        base_of(run / "experts" / "sensibility")


def test_an_adapter_that_the_user_names_brings_its_base(tmp_path: Path) -> None:
    run, mine = tmp_path / "run", tmp_path / "mine"
    shutil.move(adapter(run, str(shutil.copytree(bundled_base(), tmp_path / "base"))), mine)
    assert base_of(mine) == tmp_path / "base"


HOSTILE: dict[str, dict[str, Any]] = {
    "imports": {"megatron_config": {"a": 1}, "megatron_core": "os"},
    "copies of layers": {"layer_replication": [[0, 10**9]]},
    "a pattern": {"target_modules": "(((a*)*)*)*!"},
    "a pattern in a list": {"target_modules": ["(a*)*"]},
    "patterns of ranks": {"rank_pattern": {"((a*)*)*!": 1}},
    "a huge rank": {"r": 10**9},
    "a huge rank in a pattern": {"rank_pattern": {"q_proj": 10**9}},
    "no rank": {"r": "many"},
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("load", [load_model, open_checkpoint])
def test_an_adapter_makes_no_library_import_or_compute_without_bounds(case: str, load: Any, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "run", str(bundled_base()), **HOSTILE[case])
    with pytest.raises(UserError, match=r"adapter_config\.json (has|names)"):
        load(folder)


def test_a_configuration_is_bounded_and_names_no_code(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "run", "x/y")
    for content in ("[" * 100_000, "[]", "{", '"' + "x" * 20_000_000 + '"'):
        (folder / "adapter_config.json").write_text(content, "utf-8")
        with pytest.raises(UserError, match=r"adapter_config\.json"):
            base_of(folder)
    (tmp_path / "config.json").write_text('{"attn_implementation": "strange/kernel"}', "utf-8")
    with pytest.raises(UserError, match="takes attn_implementation from the hub, which is code"):
        check_model(tmp_path)


def test_a_model_with_code_or_pickles_is_not_loaded(tmp_path: Path) -> None:
    model = shutil.copytree(bundled_base(), tmp_path / "model")
    config = json.loads((model / "config.json").read_text("utf-8"))
    code = {"auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}, "model_type": "evil"}
    (model / "config.json").write_text(json.dumps({**config, **code}), "utf-8")
    (model / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n", "utf-8")
    with pytest.raises(UserError, match="brings Python code of its own: read it, then allow it"):
        load_model(model)
    assert not (tmp_path / "ran").exists()
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(UserError, match="is a pickle file, which can run code"):
        load_model(model)


def test_the_base_of_a_stranger_s_run_is_not_loaded_either(tmp_path: Path, hub: list[str]) -> None:
    from trained_runs import write_training

    workspace = Workspace(tmp_path / "run").create()
    write_training(workspace, "sensibility", base="strange/base")
    with pytest.raises(UserError, match="add --allow hub:strange/base"):
        resolve("base", workspace)
    assert not hub
