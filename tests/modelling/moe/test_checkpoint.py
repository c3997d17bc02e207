import shutil

import pytest

pytest.importorskip("transformers", reason='needs the extra "train"')

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.checkpoint import local, open_checkpoint


def test_a_folder_is_itself_and_a_path_that_is_not_there_is_no_hub_name(tmp_path) -> None:
    assert local(tmp_path) == tmp_path
    for path in (tmp_path / "nothing", "./nothing", "~/nothing", "a/b/c"):
        with pytest.raises(UserError, match="there is no folder"):
            local(path)


def test_a_hub_name_that_cannot_be_had_is_one_sentence(monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="nobody/nothing is no folder here, and cannot be had from the hub"):
        local("nobody/nothing")


def test_a_hub_model_is_its_snapshot(made, tmp_path, monkeypatch) -> None:
    asked = []

    def snapshot(name, *, revision, allow_patterns):
        asked.append((name, revision))
        assert not any(pattern.endswith((".bin", ".pt")) for pattern in allow_patterns)
        return str(made("llama"))

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    opened = open_checkpoint("org/model")
    assert asked == [("org/model", None)]
    assert (opened.name, opened.folder) == ("model", made("llama"))


def test_files_come_from_the_adapter_and_else_from_its_base(made, adapter) -> None:
    base = made("llama")
    folder = adapter(base)
    opened = open_checkpoint(folder)
    assert opened.file("generation_config.json") == base / "generation_config.json"
    assert opened.tokenizer()["tokenizer.json"] == base / "tokenizer.json"
    shutil.copy(base / "tokenizer.json", folder / "tokenizer.json")
    assert opened.tokenizer()["tokenizer.json"] == folder / "tokenizer.json"
    assert opened.file("nothing") is None
