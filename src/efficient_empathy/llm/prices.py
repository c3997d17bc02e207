"""What models charge, from a file that the user can edit."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from efficient_empathy.foundation.errors import UserError

BUNDLED = Path(__file__).with_name("prices.yaml")
"""Public list prices; its comment says of when."""

_VERSION = re.compile(r"([-@](\d{4}-\d{2}-\d{2}|\d{8}|(0[1-9]|1[0-2])[0-3]\d)|-latest)\Z")
_FORM = "MODEL: {input: 2.50, output: 10.00}"


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens."""

    input: float
    output: float

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars for these tokens."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


FREE = Price(0.0, 0.0)


class Prices:
    """Prices by model name."""

    def __init__(self, by_model: Mapping[str, Price]) -> None:
        self._by_model = dict(by_model)

    @classmethod
    def load(cls, path: Path | str | None = None) -> Prices:
        """The bundled list, and `path`'s entries before it. Raises `UserError` where the file is not such a list."""
        prices = _read(BUNDLED)
        return cls(prices if path is None else {**prices, **_read(Path(path))})

    def find(self, model: str) -> Price | None:
        """The price listed for `model`, or else for its name without the version at its end; None if there is neither.

        A version is a date or `latest`: `gpt-4o` covers `gpt-4o-2024-08-06` and `gpt-4o-0806`, not `gpt-4o-mini`. A
        name with a provider before a slash (`openai/gpt-4o`) that is not listed counts as the name after it.
        """
        for name in (model, model.rsplit("/", 1)[-1]):
            price = self._by_model.get(name) or self._by_model.get(_VERSION.sub("", name))
            if price is not None:
                return price
        return None


def _read(path: Path) -> dict[str, Price]:
    try:
        loaded = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the prices file {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"the prices file {path} is not YAML ({reason}): write lines such as {_FORM}") from error
    if not isinstance(loaded, dict):
        raise UserError(f"the prices file {path} has no models: write lines such as {_FORM}")
    return {str(model): _price(entry, path, model) for model, entry in loaded.items()}


def _price(entry: Any, path: Path, model: Any) -> Price:
    if isinstance(entry, dict) and set(entry) == {"input", "output"}:
        values = (entry["input"], entry["output"])
        if all(type(value) in (int, float) and math.isfinite(value) and value >= 0 for value in values):
            return Price(float(values[0]), float(values[1]))
    raise UserError(f"{path}: the price of {model} is not US dollars per million tokens: write it as {_FORM}")
