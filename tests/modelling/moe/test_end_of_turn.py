import json
import shutil

import pytest

pytest.importorskip("transformers", reason='needs the extra "train"')

from efficient_empathy.modelling.moe.checkpoint import open_checkpoint
from efficient_empathy.modelling.moe.end_of_turn import closing_token, end_tokens

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
