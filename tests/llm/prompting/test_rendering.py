from __future__ import annotations

import os
from pathlib import Path

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.prompting import ChatText, rendering
from efficient_empathy.llm.prompting.rendering import TemplateFaultError, render_chat
from efficient_empathy.modelling.training.models import bundled_base, load_tokenizer
from tiny_models import tiny_tokenizer

ASKED = [
    {"role": "user", "content": "Hi ünïcode"},
    {"role": "assistant", "content": "Oh"},
    {"role": "user", "content": "?"},
]
STRANGE = """{% set ns = namespace(n=0) -%}
{% for message in messages %}
  {%- if loop.first and not enable_thinking %}{{ bos_token }}{% endif %}
  {%- if message.role == 'system' %}{% continue %}{% endif %}
  {%- set ns.n = ns.n + 1 %}{{ ns.n }}:{{ message | tojson }}
  {%- if message['role'] == 'assistant' %}{% generation %}{{ message.content | trim }}{% endgeneration %}{% endif %}
{% endfor %}
{% if add_generation_prompt %}>{% endif %}{{ dict(a=1) | tojson(indent=1) }}{{ tools is none }}"""


@pytest.mark.parametrize("template", [None, "bundled", STRANGE])
@pytest.mark.parametrize("asks", [True, False])
def test_a_text_is_the_one_of_transformers(template: str | None, asks: bool) -> None:
    tokenizer = load_tokenizer(bundled_base()) if template == "bundled" else tiny_tokenizer()
    if template == STRANGE:
        tokenizer.chat_template = STRANGE
    chat = ChatText(tokenizer, "it")
    theirs = tokenizer.apply_chat_template(ASKED, tokenize=False, add_generation_prompt=asks, enable_thinking=False)
    assert (chat.prompt(ASKED) if asks else chat.dialogue(ASKED)) == theirs


BOMBS = {
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "power": "{{ 10 ** (10 ** 10) }}",
    "doubling": "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
    "repetition": "{{ 'a' * 10 ** 10 }}",
    "padding": "{{ '%09999999999d' % 1 }}",
    "lists": "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "calls": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(90) }}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "nesting": "{{ " + "(" * 20_000 + ")" * 20_000 + " }}",
    "nested blocks": "{% if 1 %}" * 3_000 + "{% endif %}" * 3_000,
    "long text": "{{ 'a' * 9000000 }}",
    "huge": "x" * 10**6,
    "a range": "{{ range(10 ** 9) | list }}",
}


ENDLESS = ("loops", "power", "calls")


@pytest.mark.parametrize("name", BOMBS)
def test_a_template_is_bounded_in_time_and_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in ENDLESS:
        monkeypatch.setattr(rendering, "SECONDS", 1)
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = BOMBS[name]
    chat = ChatText(tokenizer, "theirs")
    with pytest.raises(UserError, match="theirs's chat template does not take these messages"):
        chat.prompt(ASKED)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__.os.environ }}",
        "{{ namespace(__class__=1) }}",
        "{% set n = namespace() %}{% set n.__init__ = 1 %}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_template_reaches_nothing_but_what_it_is_given(template: str) -> None:
    with pytest.raises(TemplateFaultError):
        render_chat(template, ASKED)


def test_a_template_has_no_keys_around_it_and_goes_on_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret")
    template = "{% if fail %}{{ raise_exception('no such ' ~ 'role') }}{% endif %}{{ messages | length }}"
    before = _children()
    assert render_chat(template, ASKED) == "3"
    (process,) = _children() - before
    with pytest.raises(TemplateFaultError, match="no such role"):
        render_chat(template, ASKED, fail=True)
    assert render_chat(template, ASKED) == "3"
    assert b"very-secret" not in (process / "environ").read_bytes()


def _children() -> set[Path]:
    """The processes that this one has started and that run."""
    ids = Path(f"/proc/self/task/{os.getpid()}/children").read_text("utf-8").split()
    return {Path("/proc") / number for number in ids}
