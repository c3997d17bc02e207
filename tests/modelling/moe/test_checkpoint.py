import json
import shutil

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe.checkpoint import closing_token, end_tokens, local, open_checkpoint

pytest.importorskip("transformers", reason='needs the extra "train"')


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


pytest.importorskip("transformers", reason='needs the extra "train"')


LOOP = "{% for message in messages %}"
LLAMA = LOOP + "<|start_header_id|>{{ message.role }}<|end_header_id|>{{ message.content }}<|eot_id|>{% endfor %}"
NEWLINE = LOOP + "{{ message.content }}\n<|eot_id|>\n{% endfor %}"
MARKED = LOOP + "{% generation %}{{ message.content }}<|eot_id|>{% endgeneration %}{% endfor %}"
STRICT = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system turns') }}{% endif %}"
    "{{ bos_token }}{{ strftime_now('%d') }}" + LOOP + "{{ message.content | trim }}{{ eos_token }}{% endfor %}"
)
OPEN = LOOP + "{{ message.content }}{% endfor %}"
REFUSING = "{{ raise_exception('never') }}"


@pytest.fixture
def model(made, tmp_path):
    def make(template, *, inside=False, eos=1):
        folder = shutil.copytree(made("llama"), tmp_path / "model")
        if inside:
            (folder / "chat_template.jinja").unlink()
            settings = json.loads((folder / "tokenizer_config.json").read_text())
            (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": template}))
        else:
            (folder / "chat_template.jinja").write_text(template)
        for name in ("config.json", "generation_config.json"):
            content = json.loads((folder / name).read_text())
            (folder / name).write_text(json.dumps(content | {"eos_token_id": eos}))
        return open_checkpoint(folder)

    return make


@pytest.mark.parametrize("template", [LLAMA, NEWLINE, MARKED, STRICT])
@pytest.mark.parametrize("inside", [False, True])
def test_the_token_that_closes_a_reply_is_found(model, template, inside) -> None:
    assert closing_token(model(template, inside=inside)) == 3


@pytest.mark.parametrize("template", [OPEN, REFUSING, "{% broken", "{{ messages[5].content }}"])
def test_where_it_cannot_be_told_the_files_have_the_last_word(model, template) -> None:
    opened = model(template, eos=[2, 1])
    assert closing_token(opened) is None
    assert end_tokens(opened) == [2, 1]


def test_what_the_files_say_comes_first_and_nothing_twice(model) -> None:
    assert end_tokens(model(LLAMA, eos=[3, 2])) == [3, 2]


def test_a_template_cannot_reach_out_of_its_sandbox(model) -> None:
    escape = "{{ ''.__class__.__mro__[1].__subclasses__() }}" + LLAMA
    assert closing_token(model(escape)) is None
