"""Make the golden set that ships with the package from its table, `golden.yaml`.

    python scripts/build_golden.py

Responses that the bundled dialogues hold are named by dialogue and turn; the others are written out in the table. Items
are sorted by category; the card has its counts from the items and its distances from the distilled judge.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from efficient_empathy.dialogues import Sample, Utterance, open_source
from efficient_empathy.prompts.golden.golden_set import BUNDLED, Golden, GoldenItem, write_golden
from efficient_empathy.prompts.golden.records import GoldenManifest, Origin, RubricNote
from efficient_empathy.prompts.testing.readings import Expectations, WatchedRules
from efficient_empathy.recipe import DIALOGUES
from efficient_empathy.scoring.judges.distilled import DistilledJudge
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.selection.policies import RulePolicy, load_policy

HERE = Path(__file__).parent


def golden_items(table: Mapping[str, Any], known: Mapping[str, Sample]) -> Iterator[GoldenItem]:
    """The table's rows: responses of the bundled dialogues, then those of our own."""
    for place, told in table["bundled"].items():
        yield golden_item(known[place], told)
    for row in table["written"] + table["odd"]:
        before = known[row["to"]] if "to" in row else opening(row["context"], row["category"])
        sample = Sample.of(
            before.context, row["response"], dialogue_id=before.dialogue_id, turn=before.turn, category=before.category
        )
        yield golden_item(sample, row["expected"])


def opening(turns: list[str], category: str) -> Sample:
    """A context of the set's own, the speaker first, as a sample that has no response yet."""
    context = [Utterance("listener" if i % 2 else "speaker", text) for i, text in enumerate(turns)]
    return Sample.of(context, "", dialogue_id=f"golden-{category}", category=category)


def golden_item(sample: Sample, told: list[Any]) -> GoldenItem:
    """`told`: [sensibility, rationality] and a note perhaps; the scores a number or LOW-HIGH."""
    sensibility, rationality, *note = told
    expected = {"sensibility": ends(sensibility), "rationality": ends(rationality)}
    return GoldenItem(sample, expected, note=note[0] if note else None)


def ends(told: int | str) -> tuple[int, int]:
    """A number or LOW-HIGH as a range."""
    low, _, high = str(told).partition("-")
    return int(low), int(high or low)


def certain_subsets(golden: Golden) -> list[str]:
    """Each item's subset by the manifest's policy, or `near` where its ranges reach into more than one."""
    expected = Expectations.of([item.expected for item in golden.items], golden.axes)
    assert golden.manifest.policy is not None
    rules = WatchedRules.of(golden.manifest.policy, golden.scales, golden.samples)
    names = np.array(rules.subsets)
    return [str(names[row][0]) if row.sum() == 1 else "near" for row in expected.permits(rules)]


def counts(golden: Golden) -> list[str]:
    """The card's table, a row a category and one for all."""
    columns = ("sensibility", "rationality", "discard", "near")
    categories = [str(sample.category) for sample in golden.samples]
    of = Counter(zip(categories, certain_subsets(golden), strict=True))
    rows = {name: [of[name, column] for column in columns] for name in sorted(set(categories))}
    rows["**all**"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    return [f"| {name} | {' | '.join(map(str, cells))} | {sum(cells)} |" for name, cells in rows.items()]


def distances(golden: Golden) -> list[float]:
    """How far the distilled judge's scores lie outside the ranges, a mean an axis."""
    judgements = asyncio.run(DistilledJudge(Rubric.load()).judge(golden.samples))
    given = np.array([[[judgement.scores[axis] for axis in golden.axes]] for judgement in judgements])
    nearest = Expectations.of([item.expected for item in golden.items], golden.axes).nearest(given)
    return [float(axis) for axis in np.abs(given - nearest).mean((0, 1))]


def card(golden: Golden, table: Mapping[str, Any], template: Path) -> str:
    """The set's README."""
    near = certain_subsets(golden).count("near")
    sensibility, rationality = distances(golden)
    return template.read_text("utf-8").format(
        items=len(golden.items), bundled=len(table["bundled"]), written=len(table["written"] + table["odd"]),
        odd=len(table["odd"]), near=near, share=near / len(golden.items), table="\n".join(counts(golden)),
        distance_sensibility=sensibility, distance_rationality=rationality,
    )  # fmt: skip


def main() -> None:
    """Build the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=BUNDLED)
    parser.add_argument("--table", type=Path, default=HERE / "golden.yaml")
    parser.add_argument("--card", type=Path, default=HERE / "golden_card.md", help="its template")
    options = parser.parse_args()
    table = yaml.safe_load(options.table.read_text("utf-8"))
    known = {f"{sample.dialogue_id}/{sample.turn}": sample for sample in open_source(DIALOGUES)}
    items = sorted(
        golden_items(table, known),
        key=lambda item: (str(item.sample.category), item.sample.dialogue_id, item.sample.turn, item.sample.id),
    )
    policy = load_policy("paper")
    assert isinstance(policy, RulePolicy)
    origin = GoldenManifest(
        name="bundled",
        items=len(items),
        corpus="",
        rubric=RubricNote.of(Rubric.load()),
        origin=Origin(source="scripts/golden.yaml"),
        policy=policy,
    )
    golden = write_golden(options.output, items, origin)
    (options.output / "README.md").write_text(card(golden, table, options.card), "utf-8")


if __name__ == "__main__":
    main()
