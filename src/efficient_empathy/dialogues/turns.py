"""Turns become samples: one place where they are cleaned, merged and counted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from efficient_empathy.dialogues.content import require_text_alone
from efficient_empathy.dialogues.rows import (
    CATEGORY_KEYS,
    DIALOGUE_KEYS,
    Intake,
    MalformedError,
    Row,
    label_of,
    split_of,
    turn_of,
)
from efficient_empathy.dialogues.sample import Role, Sample, Utterance

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
    every turn whether it is one to train on, see `chat_of`: a listener turn that is not is context alone.
    """
    dialogue_id, category = label_of(row.values, dialogue_keys), label_of(row.values, category_keys)
    require_text_alone(row.values, (text for _, text in turns))
    utterances, target_flags = _merge_turns(turns, intake, targets)
    if dialogue_id is None:
        whole = "\0\0".join(f"{turn.role}\0{turn.text}" for turn in utterances)
        dialogue_id = hashlib.sha256(whole.encode()).hexdigest()[:32]
    split = split_of(row)
    unwanted = sum(
        turn.role == "listener" and not target for turn, target in zip(utterances, target_flags, strict=True)
    )
    if unwanted:
        intake.repairs["replies not to train on, read as context"] += unwanted
    return [
        Sample.of(
            utterances[:i], turn.text, dialogue_id=dialogue_id, category=category, split=split, source=row.source
        )
        for i, turn in enumerate(utterances)
        if turn.role == "listener" and target_flags[i]
    ]  # fmt: skip


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

    Id and category are found as in `conversation`.
    """
    if not response:
        raise MalformedError("no listener response: the response is empty")
    require_text_alone(row.values, (text for _, text in context))
    (*utterances, last), _ = _merge_turns([*context, ("listener", response)], intake)
    return Sample.of(
        utterances,
        last.text,
        dialogue_id=label_of(row.values, dialogue_keys),
        turn=_turn_number(row, intake),
        category=label_of(row.values, category_keys),
        split=split_of(row),
        source=row.source,
    )


def _turn_number(row: Row, intake: Intake) -> int | None:
    try:
        return turn_of(row.values)
    except MalformedError:
        intake.repairs["turn numbers that are none left out"] += 1
        return None


def _merge_turns(
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
    if len(groups) == 1:
        raise MalformedError("no listener response")
    if len(groups) > MAX_TURNS:
        raise MalformedError(f"a conversation of {len(groups):,} turns, over {MAX_TURNS:,}: split it")
    utterances = [Utterance(role, "\n".join(texts)) for role, texts in groups]
    longest = max(len(turn.text) for turn in utterances)
    if longest > MAX_CHARACTERS:
        raise MalformedError(f"a turn of {longest:,} characters, over {MAX_CHARACTERS:,}: is it dialogue?")
    intake.repairs.update(repairs)
    return utterances, target_flags
