"""Messages through a model's own chat template, in the one way that training and generation share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.prompting.markers import without_markers
from efficient_empathy.llm.prompting.template import Message


class ChatText:
    """Text of messages by the template of a `transformers` tokenizer; `name` is what errors call the model.

    Control tokens in dialogue text are made plain text first, and Qwen3 is asked not to think: what a model was trained
    on is what it is asked. Raises `UserError` where there is no chat template, or where it does not take the messages.
    """

    def __init__(self, tokenizer: Any, name: str) -> None:
        if not tokenizer.chat_template:
            raise UserError(f"{name} has no chat template: take an instruction-tuned model, or one trained here")
        self._apply, self._name = tokenizer.apply_chat_template, name
        self._markers = tuple(token.content for token in tokenizer.added_tokens_decoder.values())

    def prompt(self, messages: Sequence[Message]) -> str:
        """Up to where the reply begins."""
        return self._text(messages, add_generation_prompt=True)

    def dialogue(self, messages: Sequence[Message]) -> str:
        """With the reply, which is the last message."""
        return self._text(messages, add_generation_prompt=False)

    def _text(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        from jinja2 import TemplateError

        cleaned = without_markers(messages, self._markers)
        try:
            text: str = self._apply(
                cleaned, tokenize=False, add_generation_prompt=add_generation_prompt, enable_thinking=False
            )
        except TemplateError as error:
            raise UserError(
                f"{self._name}'s chat template does not take these messages ({error}): take the prompt template chat, "
                "which has no system message, or speaker_listener, which has one user turn alone"
            ) from error
        return text
