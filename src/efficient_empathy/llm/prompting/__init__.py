"""How a model is asked for a response, the same for training and for generation.

A versioned template makes chat messages of a context. Control tokens in dialogue text become plain text, and a prompt
that is too long loses its oldest turns.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from efficient_empathy.dialogues import Utterance
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.settings import load
from efficient_empathy.llm.prompting.rendering import TemplateFaultError, render_chat

Message = dict[str, str]
BUNDLED = ("chat", "speaker_listener", "empathetic_instruction")
_CHAT_ROLES = {"speaker": "user", "listener": "assistant"}


class Labels(BaseModel):
    """What stands before a turn in a transcript."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    speaker: str = Field(default="Speaker: ", max_length=1_000)
    listener: str = Field(default="Listener: ", max_length=1_000)


class PromptTemplate(BaseModel):
    """A form, and the words around the dialogue. Everything in it but its description counts into its `hash`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    version: int = Field(default=1, ge=1)
    description: str = ""
    form: Literal["turns", "transcript"]
    """turns: speaker and listener take turns as user and assistant; transcript: all of it in one user turn."""
    system: str = Field(default="", max_length=200_000)
    """The system message, none where it is empty. Its text is sent as it is: nothing is filled in."""
    labels: Labels = Labels()
    """transcript: what stands before a turn; the listener's stands once more at the end."""

    @classmethod
    def load(cls, name_or_path: str | Path = "chat") -> PromptTemplate:
        """The bundled template of that name, or the one in a YAML file.

        Raises `UserError` for a name that there is not, and for a file that is no template.
        """
        if str(name_or_path) in BUNDLED:
            return load(cls, files(__package__) / "templates" / f"{name_or_path}.yaml", "the prompt template")
        if not Path(name_or_path).is_file():
            raise UserError(
                f"cannot read the prompt template {name_or_path}: give a YAML file or one of {', '.join(BUNDLED)}"
            )
        return load(cls, Path(name_or_path), "the prompt template")

    @cached_property
    def hash(self) -> str:
        """SHA-256 over all of the template's content but its description, first 16 hexadecimal digits."""
        content = self.model_dump(mode="json", exclude={"description"})
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]

    def record(self) -> dict[str, str]:
        """What training and generation write down of it: `{"name", "hash"}`."""
        return {"name": self.name, "hash": self.hash}

    def messages(self, context: Sequence[Mapping[str, Any] | Utterance]) -> list[Message]:
        """The chat messages that ask for the listener's next turn: `role` (system, user, assistant) and `content`.

        Texts go in as they are, never as a template. As in the readers, running turns of one role are joined by a line
        break, empty turns and a listener's turns before the first speaker's are left out; so roles alternate, the user
        is first and last. Raises `UserError` for a context without a speaker's turn, or that ends with a listener's.
        """
        turns = _alternating(context)
        if self.form == "turns":
            messages = [{"role": _CHAT_ROLES[role], "content": text} for role, text in turns]
        else:
            messages = [{"role": "user", "content": self._transcript(turns)}]
        return [{"role": "system", "content": self.system}, *messages] if self.system else messages

    def _transcript(self, turns: Sequence[tuple[str, str]]) -> str:
        """Labelled lines; a line break inside a turn is indented, so that no text can open a turn."""
        labels = {"speaker": self.labels.speaker, "listener": self.labels.listener}
        lines = [labels[role] + "\n    ".join(text.splitlines()) for role, text in turns]
        return "\n".join([*lines, labels["listener"]])


def _alternating(context: Sequence[Mapping[str, Any] | Utterance]) -> list[tuple[str, str]]:
    turns: list[tuple[str, str]] = []
    for turn in context:
        role, text = (turn.role, turn.text) if isinstance(turn, Utterance) else (turn["role"], turn["text"])
        if role not in _CHAT_ROLES:
            raise UserError(f"a context's turn is the speaker's or the listener's, not {role!r}'s")
        if not text or (role == "listener" and not turns):
            continue
        if turns and turns[-1][0] == role:
            turns[-1] = (role, f"{turns[-1][1]}\n{text}")
        else:
            turns.append((role, text))
    if not turns:
        raise UserError("a context without a speaker's turn asks for nothing: leave the sample out")
    if turns[-1][0] == "listener":
        raise UserError("the context's last turn is the listener's own: nothing is left to respond to")
    return turns


def without_markers(messages: Sequence[Message], markers: Iterable[str]) -> list[Message]:
    """The messages with a space inside every marker that their text contains, such as "<|eot_id|>" → "< |eot_id|>".

    `markers` are the tokenizer's special tokens. A chat template puts texts between such tokens and the tokenizer reads
    both alike, so that without this a text could end its own turn and open another.
    """
    pattern = _pattern(tuple(markers))
    if pattern is None:
        return list(messages)
    return [
        {**message, "content": pattern.sub(lambda match: f"{match[0][0]} {match[0][1:]}", message["content"])}
        for message in messages
    ]


@functools.lru_cache(maxsize=8)
def _pattern(markers: tuple[str, ...]) -> re.Pattern[str] | None:
    """Any of the markers, the longest first; single characters are none."""
    marks = sorted({mark for mark in markers if len(mark) > 1}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, marks))) if marks else None


class ChatText:
    """Text of messages by the template of a `transformers` tokenizer; `name` is what errors call the model.

    Control tokens in dialogue text are made plain text first, and Qwen3 is asked not to think: what a model was trained
    on is what it is asked. A template is a program that came with the model: it runs in `rendering`'s bounds. Raises
    `UserError` where there is no chat template, or where it does not take the messages.
    """

    def __init__(self, tokenizer: Any, name: str) -> None:
        if not tokenizer.chat_template:
            raise UserError(f"{name} has no chat template: take an instruction-tuned model, or one trained here")
        template = tokenizer.chat_template
        self._template: str = template if isinstance(template, str) else tokenizer.get_chat_template()
        self._tokens = {key: _texts(token) for key, token in tokenizer.special_tokens_map.items()}
        self._name = name
        self._markers = tuple(token.content for token in tokenizer.added_tokens_decoder.values())

    def prompt(self, messages: Sequence[Message]) -> str:
        """Up to where the reply begins."""
        return self._text(messages, add_generation_prompt=True)

    def dialogue(self, messages: Sequence[Message]) -> str:
        """With the reply, which is the last message."""
        return self._text(messages, add_generation_prompt=False)

    def _text(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        plain = without_markers(messages, self._markers)
        try:
            return render_chat(
                self._template,
                plain,
                **{**self._tokens, "tools": None, "documents": None, "enable_thinking": False},
                add_generation_prompt=add_generation_prompt,
            )
        except TemplateFaultError as error:
            raise UserError(
                f"{self._name}'s chat template does not take these messages ({error}): take the prompt template chat, "
                "which has no system message, or speaker_listener, which has one user turn alone"
            ) from error


def _texts(token: Any) -> Any:
    """A special token, or several, as text."""
    return [str(one) for one in token] if isinstance(token, list | tuple) else str(token)


def without_oldest(messages: list[Message]) -> list[Message]:
    """The messages without the oldest turn and its answer; the system message and the last turn stay.

    A single turn loses its oldest line, or a fifth of its words if it has one line; empty when nothing is left.
    """
    system, turns = messages[: messages[0]["role"] == "system"], messages[messages[0]["role"] == "system" :]
    if len(turns) > 1:
        rest = turns[1:]
        return [*system, *(rest[1:] if rest[0]["role"] == "assistant" and len(rest) > 1 else rest)]
    _, _, text = turns[0]["content"].partition("\n")
    if not text.strip():
        words = turns[0]["content"].split()
        text = " ".join(words[max(1, len(words) // 5) :])
    return [*system, {**turns[0], "content": text}] if text else []


__all__ = ["BUNDLED", "ChatText", "Message", "PromptTemplate", "without_markers", "without_oldest"]
