"""What a page reads of its address: what the address asks for and there is not is passed over, and said."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from starlette.datastructures import QueryParams

from efficient_empathy.foundation.figures.formatting import clip

EVERYWHERE = ("run", "token", "link")
"""What any page's address may have."""
MOST_NAMED = 6
"""Values that a sentence names."""
_CLIP = 40


def strangers(query: Mapping[str, str], known: Sequence[str]) -> list[str]:
    """A sentence on each name in an address that the page does not know."""
    sentences = []
    for name in dict.fromkeys(query):
        if name in (*known, *EVERYWHERE) or any(name.startswith(one) for one in known if one.endswith(".")):
            continue
        close = get_close_matches(name, known, 1, 0.75)
        hint = f"; did you mean {close[0]}?" if close else "."
        sentences.append(f"The address asks for {clip(name, _CLIP)}, which this page does not know{hint}")
    return sentences


class Address:
    """The query of a page's address, read by name. `notes` are sentences on what of it was passed over.

    `known` are the names that it may have, those that end with a point as beginnings.
    """

    def __init__(self, query: QueryParams, known: Sequence[str] = ()) -> None:
        self._query = query
        self.notes = strangers(query, known)

    def text(self, name: str) -> str:
        """A value as it stands, empty where there is none."""
        return self._query.get(name, "")

    def one_of(self, name: str, values: Iterable[str], otherwise: str = "", *, shown: str | None = None) -> str:
        """The value of `name` where it is among `values`, else `otherwise`, which a note calls `shown`."""
        return next(iter(self.some_of(name, values, last=True, shown=otherwise if shown is None else shown)), otherwise)

    def some_of(self, name: str, values: Iterable[str], *, last: bool = False, shown: str = "") -> list[str]:
        """The values of `name` that are among `values`, each once; with `last` only the last that the address has."""
        possible = list(dict.fromkeys(values))
        asked = [value for value in dict.fromkeys(self._query.getlist(name)) if value]
        asked = asked[-1:] if last else asked
        for value in asked:
            if value not in possible:
                self._miss(name, value, _listed(possible), shown)
        return [value for value in asked if value in possible]

    def number(self, name: str, otherwise: float, low: float, high: float, *, whole: bool = False) -> float:
        """A number, or a `whole` one, from `low` to `high`; else `otherwise`, and beyond them the nearer of the two."""
        value = self.text(name)
        if not value:
            return otherwise
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        is_one = math.isfinite(number) and (number.is_integer() or not whole)
        shown = min(high, max(low, number)) if is_one else otherwise
        if shown != number:
            self._miss(
                name, value, f"{'a whole number' if whole else 'a number'} from {low:,} to {high:,}", f"{shown:,g}"
            )
        return shown

    def flag(self, name: str) -> bool:
        """Whether the address says 1, as the pages' own links do."""
        return self.one_of(name, ("1",)) == "1"

    def _miss(self, name: str, value: str, possible: str, shown: str) -> None:
        instead = f" The page shows {clip(shown, _CLIP)}." if shown else ""
        can_be = f"it can be {possible}" if possible else "here is none"
        self.notes.append(f"The address has {name}={clip(value, _CLIP)}, which there is not: {can_be}.{instead}")


def _listed(values: Sequence[str]) -> str:
    """Values in a sentence, the first of many."""
    names = [clip(value, _CLIP) for value in values[:MOST_NAMED]]
    if more := len(values[MOST_NAMED:]):
        return f"{', '.join(names)} and {more:,} more"
    return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
