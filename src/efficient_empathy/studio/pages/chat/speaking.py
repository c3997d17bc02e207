"""A local model that answers token by token, and can be stopped between two of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.generation.backends import Prompt
from efficient_empathy.studio.pages.chat.gates import Gates


@dataclass(frozen=True)
class Token:
    """What one token adds to the text (empty while it is part of a character), and the experts' weights by layer."""

    text: str
    gates: list[list[float]]


@dataclass
class Said:
    """A reply that has ended."""

    text: str = ""
    finish: Literal["stop", "length", "stopped"] = "stop"
    tokens: int = 0
    weights: list[list[list[float]]] = field(default_factory=list)
    """Of each token: one row a layer, one number an expert."""

    def mean(self) -> list[float]:
        """The experts' mean weights over tokens and layers; empty without a mixture."""
        rows = [row for token in self.weights for row in token]
        return [round(sum(column) / len(rows), 4) for column in zip(*rows, strict=True)] if rows else []


class _StoppedError(Exception):
    pass


def speak(
    speaker: Any,
    prompt: Prompt,
    *,
    temperature: float,
    seed: int,
    on_token: Callable[[Token], None],
    stop: threading.Event,
) -> Said:
    """Let a `LocalGenerator` answer a prompt. Raises `UserError` for a prompt that its window does not hold."""
    from efficient_empathy.modelling.generation.decoding import decode, most_probable, sampling
    from efficient_empathy.modelling.generation.local import encode_within, room_for

    model, tokenizer, longest = speaker.model, speaker.tokenizer, speaker.settings.max_new_tokens
    (ids,) = encode_within([prompt], tokenizer, speaker.name, room_for(speaker.window, longest))
    if not ids:
        raise UserError(f"the conversation is longer than the model's window of {speaker.window:,} tokens: clear it")
    limit = min(longest, speaker.window - len(ids))
    pick = sampling([seed], limit, temperature, 1.0) if temperature else most_probable
    said, pieces = Said(), _Pieces(tokenizer)
    with Gates(model) as gates:

        def choose(logits: Any, rows: list[int], step: int) -> Any:
            if stop.is_set():
                raise _StoppedError
            chosen = pick(logits, rows, step)
            said.tokens += 1
            if (token := int(chosen[0])) not in speaker.stops:
                weights = gates.weights()
                said.weights.append(weights)
                on_token(Token(pieces.add(token), weights))
            return chosen

        try:
            (made,) = decode(model, [ids], [limit], speaker.stops, choose)
            said.finish = "stop" if made[-1] in speaker.stops else "length"
        except _StoppedError:
            said.finish = "stopped"
    said.text = pieces.whole().strip()
    return said


class _Pieces:
    """Tokens as what each adds to the text: characters of several tokens come whole, with their last one."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._shown = ""

    def add(self, token: int) -> str:
        self._ids.append(token)
        text = self.whole()
        if text.endswith("\ufffd"):
            return ""
        common = len(self._shown) if text.startswith(self._shown) else 0
        piece, self._shown = text[common:], text
        return piece

    def whole(self) -> str:
        ids: Sequence[int] = self._ids
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))
