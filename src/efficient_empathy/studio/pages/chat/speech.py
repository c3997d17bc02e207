"""A local model that answers token by token, with the weight of each expert, and can be stopped between two tokens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.generation.backends import Prompt
from efficient_empathy.modelling.moe.record import COMPOSITION, CompositionRecord
from efficient_empathy.modelling.moe.router_statistics import routers


class RouterWeights:
    """Hooks on a model's routers, while a `with` block lasts; of a model without routers there is nothing to see.

    The weights are those that the experts' outputs are summed with, at the last position of the last forward pass,
    which is the one that the next token is predicted from: as in `moe.statistics`, what is outside the top k counts 0.
    """

    def __init__(self, model: Any) -> None:
        self._gates = [module for _, module in routers(model)]
        self._weights: list[Any] = [None] * len(self._gates)
        self._stack = ExitStack()

    def __bool__(self) -> bool:
        return bool(self._gates)

    def __enter__(self) -> RouterWeights:
        for layer, gate in enumerate(self._gates):
            self._stack.callback(gate.register_forward_hook(self._hook(layer)).remove)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def weights(self) -> list[list[float]]:
        """One row a layer, first layer first, one number an expert; rows sum to 1."""
        return [[round(weight, 4) for weight in row.tolist()] for row in self._weights]

    def _hook(self, layer: int) -> Any:
        def see(_: Any, inputs: Any, output: Any) -> None:
            logits, scores, indices = (part.reshape(-1, part.shape[-1])[-1] for part in output)
            self._weights[layer] = logits.new_zeros(logits.shape).float().scatter(0, indices, scores.float())

        return see


def experts_of(folder: Path, count: int) -> list[str]:
    """The names of a mixture's experts, as its composition tells them; numbers where it tells none."""
    record = CompositionRecord.read_if_there(folder / COMPOSITION)
    names = record.experts if record else ()
    return list(names) if len(names) == count else [f"expert {number + 1}" for number in range(count)]


@dataclass(frozen=True)
class Token:
    """What one token adds to the text (empty while it is part of a character), and the experts' weights by layer."""

    text: str
    gates: list[list[float]]


@dataclass
class SpokenReply:
    """A reply that has ended."""

    text: str = ""
    finish: Literal["stop", "length", "stopped"] = "stop"
    tokens: int = 0
    left_out: int = 0
    """The oldest turns that the model's window did not hold."""
    weights: list[list[list[float]]] = field(default_factory=list)
    """For each token one row a layer, in it one number an expert."""

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
) -> SpokenReply:
    """Let a `LocalGenerator` answer a prompt. Raises `UserError` for a prompt that its window does not hold."""
    from efficient_empathy.modelling.generation.local import decode, most_probable, room_for, sampling, shortened

    model, tokenizer, longest = speaker.model, speaker.tokenizer, speaker.settings.max_new_tokens
    ids, left_out = shortened(prompt, tokenizer, speaker.name, room_for(speaker.window, longest))
    if not ids:
        raise UserError(f"the conversation is longer than the model's window of {speaker.window:,} tokens: clear it")
    limit = min(longest, speaker.window - len(ids))
    pick = sampling([seed], limit, temperature, 1.0) if temperature else most_probable
    reply, pieces = SpokenReply(left_out=left_out), _Pieces(tokenizer)
    with RouterWeights(model) as gates:

        def choose(logits: Any, rows: list[int], step: int) -> Any:
            if stop.is_set():
                raise _StoppedError
            tokens = pick(logits, rows, step)
            reply.tokens += 1
            if (token := int(tokens[0])) not in speaker.stops:
                weights = gates.weights()
                reply.weights.append(weights)
                on_token(Token(pieces.add(token), weights))
            return tokens

        try:
            (sequence,) = decode(model, [ids], [limit], speaker.stops, choose)
            reply.finish = "stop" if sequence[-1] in speaker.stops else "length"
        except _StoppedError:
            reply.finish = "stopped"
    reply.text = pieces.whole().strip()
    return reply


class _Pieces:
    """Tokens as what each adds to the text: characters of several tokens come whole, with their last one."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._text = ""

    def add(self, token: int) -> str:
        self._ids.append(token)
        text = self.whole()
        if text.endswith("\ufffd"):
            return ""
        common = len(self._text) if text.startswith(self._text) else 0
        piece, self._text = text[common:], text
        return piece

    def whole(self) -> str:
        ids: Sequence[int] = self._ids
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))
