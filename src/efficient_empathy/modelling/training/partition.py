"""Which sample serves for what: fitting an expert, training routers, held-out losses, the final test."""

from __future__ import annotations

import polars as pl

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.ties import tie_hash

PARTS = ("fit", "held_out", "test", "router")
_HELD_OUT = ("valid", "validation", "val", "dev", "development", "held_out", "eval")
_TEST = ("test",)


def partition(frame: pl.DataFrame, *, held_out: float, hold_back: float = 0.0, seed: int = 0) -> pl.DataFrame:
    """`frame` with a column `part`: fit, held_out, test or router. A dialogue is never in two parts.

    The data's own `split` decides where it has a validation or a test split. Where it has no validation split,
    a `held_out` share of the other dialogues is held out; then a `hold_back` share of the rest goes to `router`:
    samples that no expert sees. Both are drawn by a seeded hash of `dialogue_id`, so the order of rows does not matter.
    A dialogue that lies in several splits goes to test before held_out before the rest.

    Without a test split there is no part `test`: whoever needs one takes `held_out`. Raises `UserError` for shares that
    leave nothing to train on.
    """
    if held_out + hold_back >= 1:
        raise UserError(f"held_out {held_out:g} and hold_back {hold_back:g} leave nothing to train on")
    split = pl.col("split").str.to_lowercase()
    dialogues = frame.group_by("dialogue_id").agg(
        pl.when(split.is_in(_TEST).any())
        .then(pl.lit("test"))
        .when(split.is_in(_HELD_OUT).any())
        .then(pl.lit("held_out"))
        .otherwise(pl.lit("fit"))
        .alias("part")
    )
    rest = dialogues.filter(part="fit").get_column("dialogue_id")
    own = (dialogues["part"] == "held_out").any()
    drawn = rest.gather(tie_hash(rest, seed).argsort(kind="stable"))
    first = 0 if own else _count(held_out, len(rest))
    second = first + _count(hold_back, len(rest) - first)
    parts = pl.concat(
        [
            dialogues.filter(pl.col("part") != "fit").select("dialogue_id", "part"),
            _part(drawn[:first], "held_out"),
            _part(drawn[first:second], "router"),
            _part(drawn[second:], "fit"),
        ]
    )
    return frame.join(parts, on="dialogue_id", how="left", maintain_order="left")


def _count(share: float, dialogues: int) -> int:
    """At least one where a share is asked for, never all."""
    return min(dialogues - 1, max(1, round(share * dialogues))) if share and dialogues > 1 else 0


def _part(dialogues: pl.Series, part: str) -> pl.DataFrame:
    return pl.DataFrame({"dialogue_id": dialogues, "part": pl.Series([part] * len(dialogues), dtype=pl.String)})
