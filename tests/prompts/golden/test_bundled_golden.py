import asyncio
import runpy
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from efficient_empathy.dialogues import open_source
from efficient_empathy.prompts.golden.golden_set import BUNDLED, read_golden
from efficient_empathy.prompts.golden.records import RubricNote
from efficient_empathy.recipe import DIALOGUES
from efficient_empathy.scoring.judges.distilled import DistilledJudge
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.selection.policies import load_policy

BUILD = Path(__file__).parents[3] / "scripts" / "build_golden.py"
AXES = ("sensibility", "rationality")


@pytest.fixture(scope="module")
def golden():
    return read_golden("bundled")


@pytest.fixture(scope="module")
def ranges(golden):
    """Shape (items, axes, low and high)."""
    return np.array([[item.expected[axis] for axis in AXES] for item in golden.items]).astype(int)


@pytest.fixture(scope="module")
def reached(ranges):
    bound = load_policy("paper").bind(dict.fromkeys(AXES, (0, 10)))
    cells = np.array(bound.policy.subsets)[bound.cells(*AXES, {})]
    return [set(cells[s[0] : s[1] + 1, r[0] : r[1] + 1].ravel().tolist()) for s, r in ranges]


def test_there_are_200_distinct_items_on_the_bundled_rubrics_scales(golden):
    assert golden.manifest.items == len({sample.id for sample in golden.samples}) == 200
    assert golden.manifest.rubric == RubricNote.of(Rubric.load())
    assert golden.manifest.policy.definition() == load_policy("paper").definition()


def test_every_context_is_the_bundled_dialogues_own_or_one_of_the_sets(golden):
    known = {(sample.dialogue_id, sample.turn): sample for sample in open_source(DIALOGUES)}
    for sample in golden.samples:
        before = known.get((sample.dialogue_id, sample.turn))
        if before is None:
            assert sample.dialogue_id.startswith("golden-")
        else:
            assert (sample.context, sample.category) == (before.context, before.category)


def test_ranges_are_narrow_and_cover_the_scale(ranges):
    low, high = np.moveaxis(ranges, 2, 0)
    assert low.min() == 0
    assert high.max() == 10
    assert (low <= high).all()
    assert (high - low <= 2).all()


def test_every_category_has_some_items_and_every_subset_many(golden, reached):
    categories = Counter(sample.category for sample in golden.samples)
    assert len(categories) == 32
    assert min(categories.values()) >= 4
    certain = Counter(*[[subset for result in reached if len(result) == 1 for subset in result]])
    assert set(certain) == {"sensibility", "rationality", "discard"}
    assert min(certain.values()) >= 30


def test_some_ranges_straddle_a_threshold_and_few(reached):
    straddling = sum(len(result) > 1 for result in reached)
    assert 0.05 <= straddling / len(reached) <= 0.2


def test_the_corners_of_the_grid_are_occupied(ranges):
    s, r = ranges.mean(2).T
    assert ((s <= 3) & (r <= 1)).sum() >= 25
    assert ((s >= 8) & (r >= 8)).sum() >= 8
    assert ((s >= 8) & (r <= 3)).sum() >= 25
    assert ((s <= 3) & (r >= 8)).sum() >= 15
    assert ((s > 3) & (s < 8)).sum() >= 25


def test_a_text_that_asks_for_a_ten_is_not_expected_to_get_it(golden, ranges):
    for item, ((_, s), (_, r)) in zip(golden.items, ranges, strict=True):
        text = item.sample.response + item.sample.context[-1].text
        if "10" in text and ("sensibility" in text.lower() or "grader" in text):
            assert max(s, r) <= 2, item.note


def test_the_embedded_judge_ranks_as_the_set_expects_and_tells_sensibility_from_rationality(golden, ranges, reached):
    judgements = asyncio.run(DistilledJudge(Rubric.load(), threads=1).judge(golden.samples))
    content = np.array([[judgement.scores[axis] for axis in AXES] for judgement in judgements])
    expected = ranges.mean(2)
    assert spearmanr(content[:, 0], expected[:, 0]).statistic > 0.40
    assert spearmanr(content[:, 1], expected[:, 1]).statistic > 0.45
    kept = [
        (result, row) for result, row in zip(reached, content, strict=True) if result < {"sensibility", "rationality"}
    ]
    right = [result == {"rationality" if r >= 5 else "sensibility"} for result, (_, r) in kept]
    assert np.mean(right) > 0.8


def test_the_set_is_what_its_script_makes_of_its_table(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["build_golden.py", "-o", str(tmp_path)])
    runpy.run_path(str(BUILD), run_name="__main__")
    for name in ("items.jsonl", "manifest.json"):
        assert (tmp_path / name).read_text("utf-8") == (BUNDLED / name).read_text("utf-8")


def test_the_card_has_the_counts(reached):
    card = (BUNDLED / "README.md").read_text("utf-8")
    certain = Counter(next(iter(result)) if len(result) == 1 else "near" for result in reached)
    row = " | ".join(str(certain[column]) for column in ("sensibility", "rationality", "discard", "near"))
    assert f"| **all** | {row} | 200 |" in card
