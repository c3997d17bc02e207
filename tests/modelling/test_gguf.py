import io
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl", reason='needs the extra "train"')
pytest.importorskip("gguf", reason='needs the extra "train"')

import torch
from safetensors.torch import load_file

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.bases import UNPACKED
from efficient_empathy.modelling.generation import target
from efficient_empathy.modelling.gguf import base_in
from efficient_empathy.modelling.moe.compose import average
from efficient_empathy.modelling.training import train
from efficient_empathy.modelling.training.models import load_model, load_tokenizer, resolve
from efficient_empathy.modelling.training.settings import TrainingSettings
from gguf_files import tiny_gguf
from selected_runs import selected_run


@pytest.fixture
def console():
    return Console(stderr=True, quiet=True)


@pytest.fixture
def run(tmp_path):
    return tmp_path / "run"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tiny_gguf(tmp_path_factory.mktemp("models") / "tiny.gguf")


def test_a_file_is_unpacked_to_the_model_that_it_was_made_of(file, run, console) -> None:
    folder = base_in(run, str(file), console)
    assert isinstance(folder, Path)
    assert folder.is_relative_to(run)
    mine, original = load_file(folder / "model.safetensors"), load_file(file.with_suffix("") / "model.safetensors")
    assert all(torch.equal(mine[name], tensor) for name, tensor in original.items())
    messages = [{"role": "user", "content": "I failed the exam again, and I am afraid."}]
    tokens, expected = (load_tokenizer(one).apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
                        for one in (folder, file.with_suffix("")))  # fmt: skip
    assert tokens == expected
    model, ids = load_model(folder), torch.tensor([tokens])
    assert torch.equal(model(ids).logits, load_model(file.with_suffix(""))(ids).logits)


def test_it_is_unpacked_once(file, run, console, capsys) -> None:
    speaking = Console(stderr=True)
    folder = base_in(run, str(file), speaking)
    line, rest = capsys.readouterr().err.split("once.")
    assert "Unpacking tiny.gguf" in " ".join(line.split())
    assert not rest.strip()  # such as a library's bar
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert base_in(run, str(file), speaking) == folder
    assert not capsys.readouterr().err
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


def test_what_a_killed_unpacking_left_is_made_anew(file, run, console) -> None:
    folder = base_in(run, str(file), console)
    work = folder.with_name(f"{folder.name}.work")
    folder.rename(work)
    (work / "model.safetensors").write_bytes(b"half")
    assert load_model(base_in(run, str(file), console)).config.hidden_size == 32
    assert not work.exists()


def test_a_quantised_file_gives_numbers_near_the_original(tmp_path, run, console) -> None:
    folder = base_in(run, str(tiny_gguf(tmp_path / "small.gguf", quantisation="Q8_0")), console)
    mine, original = load_file(folder / "model.safetensors"), load_file(tmp_path / "small" / "model.safetensors")
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    for name, tensor in original.items():
        assert (mine[name] - tensor).abs().max() <= tensor.abs().max() / 127, name


def test_a_package_that_holds_one_is_named_by_its_name(file, tmp_path, run, console, monkeypatch) -> None:
    site = tmp_path / "site"
    (site / "llm_tiny").mkdir(parents=True)
    (site / "llm_tiny" / "tiny.gguf").write_bytes(file.read_bytes())
    about = site / "llm_tiny-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-tiny\nVersion: 1.0\n")
    (about / "RECORD").write_text("llm_tiny/tiny.gguf,,\n")
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    assert base_in(run, "llm-tiny", console) == base_in(run, str(file), console)
    (site / "llm_tiny" / "two.gguf").touch()
    (about / "RECORD").write_text("llm_tiny/tiny.gguf,,\nllm_tiny/two.gguf,,\n")
    with pytest.raises(UserError, match=r"holds several models .*two\.gguf"):
        base_in(run, "llm-tiny", console)
    with pytest.raises(UserError, match=r"no model at llm-other.*an installed package"):
        base_in(run, "llm-other", console)


def test_an_expert_is_trained_on_it_and_loads_again(file, tmp_path) -> None:
    run = selected_run(tmp_path / "run")
    settings = TrainingSettings(base=str(file), batch_size=8, max_steps=2, learning_rate=1e-2)
    said = io.StringIO()
    result = train(run, "sensibility", settings, console=Console(file=said, width=500))
    assert said.getvalue().count("Unpacking tiny.gguf") == 1
    assert Path(result.base).is_relative_to(run.root)
    assert "tiny" in (run.experts / "sensibility" / "README.md").read_text()
    assert load_model(run.experts / "sensibility").config.hidden_size == 32
    assert train(run, "sensibility", settings, console=Console(file=said, width=500)).skipped
    assert said.getvalue().count("Unpacking tiny.gguf") == 1

    moved = Workspace(run.root.rename(tmp_path / "elsewhere"))
    expert = moved.experts / "sensibility"
    assert load_model(expert).config.hidden_size == 32
    assert average([expert], tmp_path / "merged").kind == "merged"
    assert target.resolve("base", moved).path == moved.root / UNPACKED / Path(result.base).name
    assert train(moved, "sensibility", settings, console=Console(file=said, width=500)).skipped


def test_a_file_that_is_not_there_or_is_given_elsewhere_is_told(file, tmp_path, run, console) -> None:
    with pytest.raises(UserError, match=r"there is no file .*absent\.gguf"):
        base_in(run, str(tmp_path / "absent.gguf"), console)
    with pytest.raises(UserError, match="which only training unpacks"):
        resolve(str(file))


@pytest.mark.parametrize("kept", [0, 2000, -40])
def test_a_file_that_is_cut_off_is_told_and_leaves_nothing(file, tmp_path, run, console, kept) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"cannot read .*cut\.gguf .*download it again"):
        base_in(run, str(cut), console)
    with pytest.raises(UserError, match=r"cut\.gguf"):
        base_in(run, str(cut), console)


def test_another_architecture_is_told(tmp_path, run, console) -> None:
    with pytest.raises(UserError, match=r"cannot read .*odd\.gguf .*another architecture, such as Llama"):
        base_in(run, str(tiny_gguf(tmp_path / "odd.gguf", architecture="plamo")), console)


def test_a_model_without_a_chat_template_is_told(tmp_path, run, console) -> None:
    with pytest.raises(UserError, match=r"plain\.gguf has no chat template.*instruct version"):
        base_in(run, str(tiny_gguf(tmp_path / "plain.gguf", template=None)), console)


def test_a_quantisation_that_is_not_read_is_told(tmp_path, run, console, monkeypatch) -> None:
    file = tiny_gguf(tmp_path / "rare.gguf", quantisation="Q8_0")
    content = bytearray(file.read_bytes())
    name = b"blk.0.ffn_up.weight"
    place = content.index(name) + len(name) + 4 + 2 * 8  # after the count of axes and both of them
    assert int.from_bytes(content[place : place + 4], "little") == 8
    content[place : place + 4] = (9).to_bytes(4, "little")  # Q8_1, which llama.cpp keeps for its own intermediate sums
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read .*rare\.gguf .*another quantisation, such as Q8_0"):
        base_in(run, str(file), console)
