"""Rows to put into object stores, and what comes back of them."""

import json

from efficient_empathy.dialogues import open_source


def rows(*numbers: int) -> bytes:
    """A sample a number, as lines of JSON."""
    return "".join(json.dumps({"context": f"It is {n}.", "response": f"It was {n}."}) + "\n" for n in numbers).encode()


def responses(url: str) -> list[str]:
    """Those of a source's samples, in order."""
    return [sample.response for sample in open_source(url)]
