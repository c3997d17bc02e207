"""How much of each expert a mixture uses for the token that it is about to make, layer by layer."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from efficient_empathy.modelling.moe.record import COMPOSITION, CompositionRecord
from efficient_empathy.modelling.moe.router_statistics import routers


class Gates:
    """Hooks on a model's routers, while a `with` block lasts; of a model without routers there is nothing to see.

    The weights are those that the experts' outputs are summed with, at the last position of the last forward pass,
    which is the one that the next token is predicted from: as in `moe.statistics`, what is outside the top k counts 0.
    """

    def __init__(self, model: Any) -> None:
        self._gates = [module for _, module in routers(model)]
        self._seen: list[Any] = [None] * len(self._gates)
        self._stack = ExitStack()

    def __bool__(self) -> bool:
        return bool(self._gates)

    def __enter__(self) -> Gates:
        for layer, gate in enumerate(self._gates):
            self._stack.callback(gate.register_forward_hook(self._hook(layer)).remove)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def weights(self) -> list[list[float]]:
        """One row a layer, first layer first, one number an expert; rows sum to 1."""
        return [[round(weight, 4) for weight in row.tolist()] for row in self._seen]

    def _hook(self, layer: int) -> Any:
        def see(_: Any, inputs: Any, output: Any) -> None:
            logits, scores, indices = (part.reshape(-1, part.shape[-1])[-1] for part in output)
            self._seen[layer] = logits.new_zeros(logits.shape).float().scatter(0, indices, scores.float())

        return see


def experts_of(folder: Path, count: int) -> list[str]:
    """The names of a mixture's experts, as its composition tells them; numbers where it tells none."""
    record = CompositionRecord.read_if_there(folder / COMPOSITION)
    names = record.experts if record else ()
    return list(names) if len(names) == count else [f"expert {number + 1}" for number in range(count)]
