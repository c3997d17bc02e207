"""A recipe that goes round: what each round asks for, judges again and keeps, and what a stop in between costs."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.pipeline import RecipeResult, run_recipe, summary
from efficient_empathy.recipe import Recipe
from efficient_empathy.synthesis.rounds import RoundResult, RoundsRecord
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, ok, unauthorized
from synthesizing_server import Writer, bundled_run


class Provider:
    """A writer and a judge behind one address, told apart by the model's name; `dies` after so many requests."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """As if nobody had asked yet."""
        self.writer, self.dies = Writer(), None
        self.asked = {"writer": 0, "judge": 0}

    def __call__(self, body: dict, number: int) -> Behaviour:
        if self.dies is not None and sum(self.asked.values()) >= self.dies:
            return unauthorized()
        self.asked[body["model"]] += 1
        return self.writer(body, number) if body["model"] == "writer" else ok('{"sensibility": 9, "rationality": 3}')


class Whole(NamedTuple):
    folder: Path
    provider: Provider
    server: MisbehavingServer
    asked: dict[str, int]
    result: RecipeResult

    @property
    def rounds(self) -> list[RoundResult]:
        return rounds(self.result)

    def copy(self, name: str, folder: Path) -> Path:
        """One of the folder's runs, to be changed; the provider begins anew."""
        self.provider.begin()
        return Path(shutil.copytree(self.folder / name, folder / "run"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """A folder with dialogues, a run of them that is scored, and one that went all its rounds undisturbed."""
    folder = tmp_path_factory.mktemp("whole")
    scored = bundled_run(folder)
    scored.root.rename(folder / "scored")
    shutil.copytree(folder / "scored", folder / "grown")
    with MisbehavingServer(provider := Provider()) as server:
        result = go(recipe(folder, server), folder / "grown")
        yield Whole(folder, provider, server, dict(provider.asked), result)


def recipe(folder: Path, server: MisbehavingServer, **changes: object) -> Recipe:
    content = {
        "name": "grown",
        "data": {"source": str(folder / "dialogues.jsonl")},
        "refresh": {"judge": "openai:judge", "base_url": server.url, "concurrency": 1, "uncertainty": 0.45},
        "select": {},
        "synthesize": {
            "model": "writer", "endpoint": {"base_url": server.url, "concurrency": 1}, "samples": 4, "pilot": 6,
            "max_response_words": 60, "seed_overlap": 1.0, "repeat": 2,
        },
    }  # fmt: skip
    return Recipe.model_validate({**content, **changes})


def go(one: Recipe, folder: Path) -> RecipeResult:
    return run_recipe(one, Workspace(folder), console=Console(file=io.StringIO()))


def rounds(result: RecipeResult) -> list[RoundResult]:
    return [stage for stage in result.stages.values() if isinstance(stage, RoundResult)]


def test_every_round_adds_to_the_last_one_judges_again_and_selects(whole):
    made = whole.rounds
    assert [(one.number, one.wanted, one.kept) for one in made] == [(1, 4, 4), (2, 8, 8)]
    assert all(first.requests < second.requests for first, second in pairwise(made))
    assert made[-1].requests == whole.asked["writer"]
    assert all(one.refresh is not None and one.refresh.targets for one in made)
    workspace = Workspace(whole.folder / "grown")
    rows = pl.read_parquet(workspace.samples)
    assert len(rows.filter(split="synthetic")) == 8
    assert sum(made[-1].subsets.values()) == len(rows)
    assert sum(made[-1].synthetic.values()) == 8
    assert "Round 2 of 2: 8 synthetic samples" in summary(whole.result)
    record = workspace.last(RoundsRecord.STAGE, RoundsRecord)
    assert record is not None
    assert [RoundResult(**dict(one), of=2, skipped=False) for one in record.rounds] == made


def test_what_was_made_in_a_round_stays_a_candidate_though_labels_have_changed(whole):
    rows = pl.read_parquet(whole.folder / "grown" / "synthesis" / "candidates.parquet")
    assert rows["plan"].n_unique() == 2
    assert rows.filter("kept")["plan"].n_unique() >= 2
    assert rows["request"].is_unique().all()
    assert len(rows) == whole.asked["writer"]


def test_the_same_again_asks_nothing_and_other_settings_begin_at_the_first_round(whole, tmp_path):
    folder = whole.copy("grown", tmp_path)
    again = go(recipe(whole.folder, whole.server), folder)
    assert whole.provider.asked == {"writer": 0, "judge": 0}
    assert rounds(again) == [one.model_copy(update={"skipped": True}) for one in whole.rounds]
    other = rounds(go(recipe(whole.folder, whole.server, select={"alpha": 4}), folder))
    assert [(one.skipped, one.kept) for one in other] == [(False, 4), (False, 8)]


@pytest.mark.parametrize("dies", [3, 31])
def test_a_call_that_ended_anywhere_goes_on_to_the_same_end_and_asks_nothing_twice(whole, tmp_path, dies):
    folder = whole.copy("scored", tmp_path)
    whole.provider.dies = dies
    with pytest.raises(UserError):
        go(recipe(whole.folder, whole.server), folder)
    whole.provider.dies = None
    result = go(recipe(whole.folder, whole.server), folder)
    assert whole.provider.asked == whole.asked
    assert [one.model_copy(update={"skipped": False}) for one in rounds(result)] == whole.rounds
    kept, expected = Workspace(folder).synthetic, Workspace(whole.folder / "grown").synthetic
    assert pl.read_parquet(kept).equals(pl.read_parquet(expected))
