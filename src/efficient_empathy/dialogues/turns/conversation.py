"""Turns become samples: one place where they are cleaned, merged and counted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import dropwhile, groupby

from efficient_empathy.dialogues.rows import (
    CATEGORY_KEYS,
    DIALOGUE_KEYS,
    Intake,
    LeftOutError,
    MalformedError,
    Row,
    category_of,
    label_of,
    side_of,
    split_of,
    turn_of,
)
from efficient_empathy.dialogues.sample import Role, Sample, Side, Utterance
from efficient_empathy.dialogues.turns.content import require_text_alone

Turn = tuple[Role, str]
MAX_CHARACTERS = 100_000
"""The longest turn that is taken as dialogue; the longest published ones have under 10,000."""
MAX_TURNS = 2_000
"""The longest conversation: each listener turn is a sample with all turns before it."""


def conversation(
    turns: Sequence[Turn],
    row: Row,
    intake: Intake,
    *,
    dialogue_keys: Sequence[str] = DIALOGUE_KEYS,
    category_keys: Sequence[str] = CATEGORY_KEYS,
    targets: Sequence[bool] | None = None,
) -> list[Sample]:
    """One sample per listener turn, its context all turns before. Without an id, a hash of all turns is the id.

    Id and category are the first values that the row has under `dialogue_keys` and `category_keys`. `targets` says of
    every turn whether it is one to train on, see `chat_of`: a listener turn that is not is context alone. Where the row
    says of its last reply that it is chosen or rejected, that sample has the side.
    """
    require_text_alone(row.values, (text for _, text in turns))
    side = require_side(side_of(row.values), intake)
    utterances, target_flags = merge_turns(turns, intake, targets)
    unwanted = sum(
        turn.role == "listener" and not target for turn, target in zip(utterances, target_flags, strict=True)
    )
    if unwanted:
        intake.repairs["replies not to train on, read as context"] += unwanted
    dialogue_id = label_of(row.values, dialogue_keys)
    category, split = category_of(row.values, category_keys), split_of(row)
    if dialogue_id is None:
        dialogue_id = dialogue_hash(utterances)
    samples = [
        Sample.of(
            utterances[:i], turn.text, dialogue_id=dialogue_id, category=category, split=split, source=row.source
        )
        for i, turn in enumerate(utterances)
        if turn.role == "listener" and target_flags[i]
    ]  # fmt: skip
    if side and samples:
        samples[-1] = replace(samples[-1], side=side)
    if utterances[-1].role == "speaker":
        intake.unanswered += 1
        if intake.open_ends:
            samples.append(
                Sample.of(
                    utterances, "", dialogue_id=dialogue_id, category=category, split=split, source=row.source
                )
            )  # fmt: skip
        else:
            intake.repairs["last turns without a reply left out"] += 1
    return samples


def pair(
    context: Sequence[Turn],
    response: str,
    row: Row,
    intake: Intake,
    *,
    dialogue_keys: Sequence[str] = DIALOGUE_KEYS,
    category_keys: Sequence[str] = CATEGORY_KEYS,
) -> Sample:
    """The one sample of a row that is a context and a response. Without an id, the context's first turn is the id.

    Id, category and side are found as in `conversation`.
    """
    require_text_alone(row.values, (text for _, text in context))
    if not response:
        intake.unanswered += 1
        if not intake.open_ends:
            raise MalformedError("no listener response: the response is empty (`generate --source` can write one)")
    side = require_side(side_of(row.values), intake)
    turns: Sequence[Turn] = [*context, ("listener", response)] if response else context
    utterances, _ = merge_turns(turns, intake)
    return Sample.of(
        utterances[:-1] if response else utterances,
        utterances[-1].text if response else "",
        dialogue_id=label_of(row.values, dialogue_keys),
        turn=_turn_number(row, intake),
        category=category_of(row.values, category_keys),
        split=split_of(row),
        source=row.source,
        side=side,
    )


def require_side(side: Side | None, intake: Intake) -> Side | None:
    """`side` itself; raises `LeftOutError` where `--side` asks for the other one."""
    if side is not None:
        intake.sides = True
        if intake.settings.side not in (None, "both", side):
            raise LeftOutError(f"{side} replies left out")
    return side


def dialogue_hash(utterances: Sequence[Utterance]) -> str:
    """The id of a conversation that has none of its own: a hash of its turns, 32 hexadecimal digits."""
    whole = "\0\0".join(f"{turn.role}\0{turn.text}" for turn in utterances)
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def count_utterances(turns: Sequence[Turn]) -> int:
    """How many utterances `merge_turns` makes of the turns before a reply."""
    roles = [role for role, text in turns if text]
    return sum(1 for _ in groupby(dropwhile(lambda role: role == "listener", roles)))


def _turn_number(row: Row, intake: Intake) -> int | None:
    try:
        return turn_of(row.values)
    except MalformedError:
        intake.repairs["turn numbers that are none left out"] += 1
        return None


def merge_turns(
    turns: Sequence[Turn], intake: Intake, targets: Sequence[bool] | None = None
) -> tuple[list[Utterance], list[bool]]:
    """The turns as they are used: none empty, a speaker's first, roles alternating. Repairs are counted.

    Beside them, whether each is a target; of merged turns it takes one.
    """
    repairs: Counter[str] = Counter()
    groups: list[tuple[Role, list[str]]] = []
    target_flags: list[bool] = []
    for (role, text), target in zip(turns, targets or [True] * len(turns), strict=True):
        if not text:
            repairs["empty turns left out"] += 1
        elif not groups and role == "listener":
            repairs["opening listener turns left out"] += 1
        elif groups and groups[-1][0] == role:
            groups[-1][1].append(text)
            target_flags[-1] |= target
            repairs["running turns merged"] += 1
        else:
            groups.append((role, [text]))
            target_flags.append(target)
    if not groups:
        raise MalformedError("no speaker turn before a listener's")
    if len(groups) == 1 and not intake.open_ends:
        intake.unanswered += 1
        raise MalformedError("no listener response: `generate --source` can write one")
    if len(groups) > MAX_TURNS:
        raise MalformedError(f"a conversation of {len(groups):,} turns, over {MAX_TURNS:,}: split it")
    utterances = [Utterance(role, "\n".join(texts)) for role, texts in groups]
    longest = max([len(turn.text) for turn in utterances])
    if longest > MAX_CHARACTERS:
        raise MalformedError(f"a turn of {longest:,} characters, over {MAX_CHARACTERS:,}: is it dialogue?")
    if repairs:
        intake.repairs.update(repairs)
    return utterances, target_flags
