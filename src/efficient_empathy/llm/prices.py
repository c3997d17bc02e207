"""What models charge: a bundled list of public prices, and the user's own before it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.yaml_text import YAMLFaultError, read_yaml

BUNDLED = Path(__file__).with_name("prices.yaml")
"""Public list prices; its comment says of when."""

_VERSION = re.compile(r"([-@](\d{4}-\d{2}-\d{2}|\d{8}|(0[1-9]|1[0-2])[0-3]\d)|-latest)\Z")
_PRICES = {"input", "output", "cached", "written", "batch"}
_FORM = "MODEL: {input: 2.50, output: 10.00}"


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens."""

    input: float
    output: float
    cached: float | None = None
    """For prompt tokens read from a cache; as any others where it is not known."""
    written: float | None = None
    """For prompt tokens written to a cache; a quarter more than others where it is not known, as at Anthropic."""
    batch: float = 0.5
    """The share of all this that a request in a batch costs: half at OpenAI, Anthropic and most others."""

    def in_batch(self) -> Price:
        """What a request in a batch costs."""
        share = self.batch
        return Price(
            share * self.input, share * self.output, share * self.read_price, share * self.write_price, batch=1.0
        )

    def cost(self, prompt_tokens: int, completion_tokens: int, read: int = 0, written: int = 0) -> float:
        """US dollars for these tokens; `read` and `written` are those of the prompt that a cache had or got."""
        dollars = prompt_tokens * self.input + completion_tokens * self.output
        if read or written:
            dollars += read * (self.read_price - self.input)
            dollars += written * (self.write_price - self.input)
        return dollars / 1e6

    def most(self, prompt_tokens: int, completion_tokens: int, *, writes: bool) -> float:
        """US dollars for so many tokens at most, whatever a cache had; `writes` that it may get some."""
        dearest = max(self.input, self.read_price, self.write_price if writes else 0.0)
        return (prompt_tokens * dearest + completion_tokens * self.output) / 1e6

    def or_dearer(self, other: Price) -> Price:
        """The higher of each price; `self` where `other` has none that is higher."""
        dearer = Price(
            max(self.input, other.input),
            max(self.output, other.output),
            max(self.read_price, other.read_price),
            max(self.write_price, other.write_price),
            max(self.batch, other.batch),
        )
        same = Price(self.input, self.output, self.read_price, self.write_price, self.batch)
        return self if dearer == same else dearer

    @property
    def read_price(self) -> float:
        """US dollars per million prompt tokens that are read from a cache."""
        return self.input if self.cached is None else self.cached

    @property
    def write_price(self) -> float:
        """US dollars per million prompt tokens that are written to a cache."""
        return 1.25 * self.input if self.written is None else self.written


FREE = Price(0.0, 0.0)


class Prices:
    """Prices by model name, of one list or several; an earlier list goes before a later one."""

    def __init__(self, *lists: Mapping[str, Price]) -> None:
        self._lists = lists
        self._found: dict[str, Price | None] = {}

    @classmethod
    def load(cls, path: Path | str | None = None) -> Prices:
        """The bundled list, and `path`'s entries before it. Raises `UserError` where the file is not such a list."""
        return cls(*(() if path is None else (_read(Path(path)),)), _read(BUNDLED))

    def find(self, model: str) -> Price | None:
        """The price listed for `model`, or else for its name without the version at its end; None if there is neither.

        A version is a date or `latest`: `gpt-4o` covers `gpt-4o-2024-08-06` and `gpt-4o-0806`, not `gpt-4o-mini`. One
        that is listed counts however its date is written. A name with a provider before a slash (`openai/gpt-4o`) that
        is not listed counts as the name after it.
        """
        if model not in self._found:
            names = (model, model.rsplit("/", 1)[-1])
            prices = (_listed(prices, name) for prices in self._lists for name in names)
            self._found[model] = next((price for price in prices if price is not None), None)
        return self._found[model]


def _listed(prices: Mapping[str, Price], name: str) -> Price | None:
    if name in prices:
        return prices[name]
    base, date = _split(name)
    if date:
        for other, price in prices.items():
            other_base, other_date = _split(other)
            if other_date and other_base == base and (other_date.endswith(date) or date.endswith(other_date)):
                return price
    return prices.get(base)


def _split(name: str) -> tuple[str, str]:
    """A name without its version, and the digits of that."""
    base = _VERSION.sub("", name)
    return base, re.sub(r"\D", "", name[len(base) :])


def _read(path: Path) -> dict[str, Price]:
    try:
        content = read_yaml(path)
    except OSError as error:
        raise UserError(f"cannot read the prices file {path}: {error.strerror}") from error
    except YAMLFaultError as error:
        raise UserError(f"the prices file {path} is not YAML ({error}): write lines such as {_FORM}") from error
    if not isinstance(content, dict):
        raise UserError(f"the prices file {path} has no models: write lines such as {_FORM}")
    return {str(model): _price(entry, path, model) for model, entry in content.items()}


def _price(entry: Any, path: Path, model: Any) -> Price:
    is_price = isinstance(entry, dict) and {"input", "output"} <= set(entry) <= _PRICES
    if is_price and all(type(one) in (int, float) and math.isfinite(one) and one >= 0 for one in entry.values()):
        return Price(**{name: float(value) for name, value in entry.items()})
    raise UserError(f"{path}: the price of {model} is not US dollars per million tokens: write it as {_FORM}")
