"""The rows that models are trained and measured on: one reply a row, as prompt and completion, and as token ids."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.dialogues.sample import SYNTHETIC
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import UNSCORED, RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.prompting import ChatText, PromptTemplate, without_oldest
from efficient_empathy.modelling.training.record import ALL, GROUPS, RANDOM, UNION
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.selection.shares import tie_hash

PARTS = ("fit", "held_out", "test", "router")
UNUSED = "unused"
"""The part of synthetic samples whose seed's dialogue is held out: neither trained on nor tested on."""
_HELD_OUT = ("valid", "validation", "val", "dev", "development", "held_out", "eval")
_TEST = ("test",)


def partition(frame: pl.DataFrame, *, held_out: float, hold_back: float = 0.0, seed: int = 0) -> pl.DataFrame:
    """`frame` with a column `part`: fit, held_out, test, router or unused. A dialogue is never in two parts.

    The data's own `split` decides where it has a validation or a test split. Where it has no validation split,
    a `held_out` share of the other dialogues is held out; then a `hold_back` share of the rest goes to `router`:
    samples that no expert sees. Both are drawn by a seeded hash of `dialogue_id`, so the order of rows does not matter.
    A dialogue that lies in several splits goes to test before held_out before the rest.

    Synthetic samples (by their split) change nothing of this: they are in the part of the dialogue that they were made
    from where that is trained on, and `unused` where it is held out.

    Without a test split there is no part `test`: whoever needs one takes `held_out`. Raises `UserError` for shares that
    leave nothing to train on.
    """
    if held_out + hold_back >= 1:
        raise UserError(f"held_out {held_out:g} and hold_back {hold_back:g} leave nothing to train on")
    split = pl.col("split").str.to_lowercase()
    is_synthetic = split.eq_missing(pl.lit(SYNTHETIC))
    dialogues = (
        frame.filter(~is_synthetic)
        .group_by("dialogue_id")
        .agg(
            pl.when(split.is_in(_TEST).any())
            .then(pl.lit("test"))
            .when(split.is_in(_HELD_OUT).any())
            .then(pl.lit("held_out"))
            .otherwise(pl.lit("fit"))
            .alias("part")
        )
    )
    rest = dialogues.filter(part="fit").get_column("dialogue_id")
    own = (dialogues["part"] == "held_out").any()
    order = rest.gather(tie_hash(rest, seed).argsort(kind="stable"))
    first = 0 if own else _count(held_out, len(rest))
    second = first + _count(hold_back, len(rest) - first)
    parts = pl.concat(
        [
            dialogues.filter(pl.col("part") != "fit").select("dialogue_id", "part"),
            _part(order[:first], "held_out"),
            _part(order[first:second], "router"),
            _part(order[second:], "fit"),
        ]
    )
    joined = frame.join(parts, on="dialogue_id", how="left", maintain_order="left")
    is_held_out = pl.col("part").is_in(("test", "held_out"))
    of_synthetic = pl.when(is_held_out).then(pl.lit(UNUSED)).otherwise(pl.col("part").fill_null("fit"))
    return joined.with_columns(pl.when(is_synthetic).then(of_synthetic).otherwise(pl.col("part")).alias("part"))


def _count(share: float, dialogues: int) -> int:
    """At least one where a share is asked for, never all."""
    return min(dialogues - 1, max(1, round(share * dialogues))) if share and dialogues > 1 else 0


def _part(dialogues: pl.Series, part: str) -> pl.DataFrame:
    return pl.DataFrame({"dialogue_id": dialogues, "part": pl.Series([part] * len(dialogues), dtype=pl.String)})


_TEXTS = ("context", "response")
_COLUMNS = ("sample_id", "dialogue_id", "turn", "category", "split", "subset", *_TEXTS)
_MESSAGES = pl.List(pl.Struct({"role": pl.String(), "content": pl.String()}))


def assign_parts(table: RunTable, settings: TrainingSettings, *, texts: bool = True) -> pl.DataFrame:
    """Every sample of a run in the run's order, with its `subset`, whether that `is_selected`, and its `part`.

    Without `texts` context and response are left out.

    Selected is what the policy put into a subset by a rule. Raises `UserError` when the run has no selection, or one
    of other scores or samples.
    """
    frame = table.require("samples", "selection").read(_COLUMNS if texts else _COLUMNS[: -len(_TEXTS)])
    frame = frame.with_columns(is_selected=pl.col("subset").is_in(selected_subsets(table)))
    return partition(frame, held_out=settings.held_out, hold_back=settings.hold_back, seed=settings.seed)


def subsets_of(frame: pl.DataFrame) -> list[str]:
    """The policy's subsets in a frame of `assign_parts`, largest first."""
    counts = frame.filter(pl.col("subset") != UNSCORED)["subset"].value_counts(sort=True)
    return [str(name) for name in counts["subset"]]


def selected_subsets(table: RunTable) -> list[str]:
    """The policy's subsets in its order, without the one of what it did not select."""
    otherwise = table.selecting.otherwise if table.selecting else None
    return [name for name in table.subsets if name != otherwise]


def choose(frame: pl.DataFrame, subset: str, *, size: int | None = None, seed: int = 0) -> pl.DataFrame:
    """The rows of a subset: one of the policy's, `all`, `union` (all that is selected), or `random`.

    `size` of them, where it is given, by a seeded hash of their ids; `random` takes `all` and needs it. Raises
    `UserError` for a subset that there is not, and for a size that there is not.
    """
    names = subsets_of(frame)
    if subset not in names and subset not in GROUPS:
        raise UserError(f"there is no subset {subset!r}: this run has {', '.join([*names, *GROUPS])}")
    if subset == UNION:
        frame = frame.filter("is_selected")
    elif subset in names:
        frame = frame.filter(subset=subset)
    if subset == RANDOM and size is None:
        raise UserError("the subset random needs its --size, such as that of the subset it is compared with")
    if size is None:
        return frame
    if size > len(frame):
        raise UserError(f"the subset {subset} has {len(frame):,} samples to train on, not {size:,}: lower --size")
    first = tie_hash(frame["sample_id"], seed).argsort(kind="stable")[:size]
    return frame[np.sort(first)]


def conversational(frame: pl.DataFrame, template: PromptTemplate) -> pl.DataFrame:
    """`frame` with `prompt` and `completion`: lists of messages, as TRL's prompt/completion data sets have them."""
    prompts: list[Any] = [template.messages(context) for context in frame["context"].to_list()]
    completions = [[{"role": "assistant", "content": response}] for response in frame["response"]]
    return frame.with_columns(
        prompt=pl.Series(prompts, dtype=_MESSAGES), completion=pl.Series(completions, dtype=_MESSAGES)
    )


def examples(
    workspace: Workspace, subset: str, part: str, settings: TrainingSettings, *, size: int | None = None
) -> pl.DataFrame:
    """The rows of one subset and one part of a run, as prompts and completions in `settings.template`.

    Columns: those of `assign_parts`, `prompt`, `completion`.
    The part `test` is `held_out` where the data has no test split. Raises
    `UserError` as `assign_parts` and `choose` do.
    """
    frame = assign_parts(RunTable(workspace), settings)
    if part == "test" and not (frame["part"] == "test").any():
        part = "held_out"
    rows = choose_part(frame, subset, part, size=size, seed=settings.seed)
    return conversational(rows, PromptTemplate.load(settings.template))


def choose_part(frame: pl.DataFrame, subset: str, part: str, *, size: int | None = None, seed: int = 0) -> pl.DataFrame:
    """`choose` within one part; which subsets there are, the whole frame says."""
    choose(frame, subset, size=0)
    there = frame.filter(part=part)
    if subset in GROUPS or (there["subset"] == subset).any():
        return choose(there, subset, size=size, seed=seed)
    return there.clear()


def held_out_rows(frame: pl.DataFrame, settings: TrainingSettings) -> dict[str, pl.DataFrame]:
    """The held-out rows that losses are measured on, by subset and `all`: at most `max_held_out` in all."""
    there = frame.filter(part="held_out")
    if settings.max_held_out is not None and len(there) > settings.max_held_out:
        there = choose(there, ALL, size=settings.max_held_out, seed=settings.seed)
    rows = conversational(there, PromptTemplate.load(settings.template))
    return {name: rows.filter(subset=name) for name in subsets_of(rows)} | {ALL: rows}


def training_rows(frame: pl.DataFrame, subset: str, settings: TrainingSettings, size: int | None) -> pl.DataFrame:
    """What an expert is trained on, of a frame of `assign_parts`. Raises `UserError` when that is too little."""
    rows = choose_part(frame, subset, "fit", size=size, seed=settings.seed)
    if settings.max_samples is not None and len(rows) > settings.max_samples:
        rows = choose(rows, ALL, size=settings.max_samples, seed=settings.seed)
    if len(rows) >= settings.batch_size:
        return rows
    counts = frame.group_by("part").agg(pl.len(), (pl.col("subset") == subset).sum().alias("own")).rows_by_key("part")
    parts = ", ".join(f"{own:,} of {n:,} in the part {part}" for part, ((n, own),) in sorted(counts.items()))
    raise UserError(
        f"the subset {subset} has {len(rows):,} samples to train on, too few for batches of {settings.batch_size} "
        f"(it has {parts}): select with other thresholds, or lower --batch-size"
    )


def size_of(table: RunTable, frame: pl.DataFrame, subset: str, size: int | None) -> int | None:
    """How many samples of a subset are taken; of `random` as many as the policy's first subset has, by default."""
    if subset == RANDOM and size is None:
        return len(choose_part(frame, selected_subsets(table)[0], "fit"))
    return size


Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class EncodedSample:
    """One sample's tokens; those from `start` on are the response's, its end-of-turn token the last."""

    sample_id: str
    ids: list[int]
    start: int

    @property
    def response_tokens(self) -> int:
        """How many tokens the loss is taken on."""
        return len(self.ids) - self.start


@dataclass
class Encoding:
    """Samples as tokens, and what did not fit."""

    samples: list[EncodedSample]
    truncated: int = 0
    """Samples whose oldest turns were left out."""
    too_long: list[str] = field(default_factory=list)
    """Ids of samples left out, since the response alone exceeds the limit."""


def encode(rows: pl.DataFrame, tokenizer: Any, max_length: int | None = None) -> Encoding:
    """Tokens of `prompt` and `completion` in the tokenizer's chat template.

    The prompt's tokens are those that generation starts from, and the response follows on them. It ends with its
    end-of-turn token: white space that a template writes after it is left off, and the tokenizer's own is put where
    a template has none. A sample of more than `max_length` tokens loses its oldest turns, then the oldest words of its
    last turn; one whose response does not fit even so is left out.
    """
    ids = rows["sample_id"].to_list()
    prompts, completions = rows["prompt"].to_list(), rows["completion"].to_list()
    ends = frozenset(tokenizer.all_special_ids) | frozenset(tokenizer.added_tokens_decoder)
    encoding = Encoding([])
    for sample_id, prompt, completion, (tokens, start) in zip(
        ids, prompts, completions, _tokens(tokenizer, prompts, completions, ends), strict=True
    ):
        if max_length is not None and len(tokens) > max_length:
            fitting = _shorten(tokenizer, prompt, completion, max_length, ends)
            if fitting is None:
                encoding.too_long.append(sample_id)
                continue
            encoding.truncated += 1
            tokens, start = fitting
        encoding.samples.append(EncodedSample(sample_id, tokens, start))
    return encoding


def _tokens(
    tokenizer: Any, prompts: Sequence[Messages], completions: Sequence[Messages], ends: frozenset[int]
) -> list[tuple[list[int], int]]:
    """Ids and the response's first place, per sample."""
    if not prompts:
        return []
    chat = ChatText(tokenizer, tokenizer.name_or_path or "the model")
    prompt_texts = [chat.prompt(prompt) for prompt in prompts]
    dialogue_texts = [
        chat.dialogue(prompt + completion) for prompt, completion in zip(prompts, completions, strict=True)
    ]
    texts = [
        *prompt_texts,
        *dialogue_texts,
        *(after.removeprefix(before) for before, after in zip(prompt_texts, dialogue_texts, strict=True)),
    ]
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    parts = zip(*(ids[at : at + len(prompt_texts)] for at in range(0, len(ids), len(prompt_texts))), strict=True)
    return [
        _close(tokenizer, before, _join(before, after, rest if text.startswith(ask) else None), ends)
        for (before, after, rest), ask, text in zip(parts, prompt_texts, dialogue_texts, strict=True)
    ]


def _join(prompt: list[int], whole: list[int], rest: list[int] | None) -> list[int]:
    """`whole`, unless a token reaches over the boundary: then the prompt as it is when a reply is generated, and the
    rest on its own.
    """
    return whole if rest is None or whole[: len(prompt)] == prompt else [*prompt, *rest]


def _close(tokenizer: Any, prompt: list[int], whole: list[int], ends: frozenset[int]) -> tuple[list[int], int]:
    """`whole` up to and with the response's end-of-turn token, and where the response starts."""
    start = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prompt, whole, strict=False)))
    last = next((place for place in range(len(whole) - 1, start - 1, -1) if whole[place] in ends), None)
    if last is None or tokenizer.decode(whole[last + 1 :]).strip():
        return [*whole, tokenizer.eos_token_id], start
    return whole[: last + 1], start


def _shorten(
    tokenizer: Any, prompt: Messages, completion: Messages, max_length: int, ends: frozenset[int]
) -> tuple[list[int], int] | None:
    """The sample with as much of its newest context as fits, None where the response alone does not."""
    shorter: list[Messages] = []
    while prompt := without_oldest(prompt):
        shorter.append(prompt)

    def tokens(place: int) -> tuple[list[int], int]:
        return _tokens(tokenizer, [shorter[place]], [completion], ends)[0]

    place = bisect_left(range(len(shorter)), True, key=lambda place: len(tokens(place)[0]) <= max_length)
    return tokens(place) if place < len(shorter) else None
