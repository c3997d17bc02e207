from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from browser import Page
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.report import report
from efficient_empathy.report.sections.answers import PROMPTS, Answers, answers
from efficient_empathy.selection import select
from scored_runs import numbered, write_run
from trained_runs import write_generations

MODELS = ("moe", "base", "average")


def read(workspace: Workspace) -> Answers:
    result = answers(RunTable(workspace), workspace.generations)
    assert result is not None
    return result


def page_of(workspace: Workspace) -> Page:
    report(workspace)
    return Page(workspace.report)


def test_all_models_answer_the_same_prompts_in_the_comparisons_order(whole_run: Workspace) -> None:
    select(whole_run)
    for model in MODELS:
        write_generations(whole_run, model)
    result = read(whole_run)
    assert len(result.prompts) == PROMPTS
    assert result.common == 600
    for prompt in result.prompts:
        assert [a.title for a in prompt.answers] == ["Base model", "Average of the experts", "MoE, routers trained"]
    assert page_of(whole_run).count("article", "prompt") == PROMPTS


def test_prompts_are_of_what_every_model_answered(whole_run: Workspace) -> None:
    ids = pl.read_parquet(whole_run.samples)["sample_id"].to_list()
    write_generations(whole_run, "base", ids=ids[:50])
    write_generations(whole_run, "moe", ids=[*ids[47:90], "not a sample"])
    result = read(whole_run)
    assert {p.sample.id for p in result.prompts} == set(ids[47:50])
    assert "3 samples of the 3 that every model answered" in " ".join(page_of(whole_run).text.split())


def test_nothing_in_common_is_said(whole_run: Workspace) -> None:
    ids = pl.read_parquet(whole_run.samples)["sample_id"].to_list()
    write_generations(whole_run, "base", ids=ids[:5])
    write_generations(whole_run, "moe", ids=ids[5:9])
    page = page_of(whole_run)
    assert "There is no sample of this run that all these models answered." in page.text
    assert [row[1] for row in page.table("How the answers were made")[1:]] == ["5", "4"]


def test_prompts_are_spread_over_subsets_and_then_categories(whole_run: Workspace) -> None:
    select(whole_run)
    write_generations(whole_run, "base")
    prompts = read(whole_run).prompts
    subsets, categories = Counter(p.subset for p in prompts), Counter(p.category for p in prompts)
    assert max(subsets.values()) == 2
    assert set(subsets) >= {"sensibility", "rationality", "discard"}
    assert set(categories) == {"joyful", "sad", "uncategorised"}


def test_the_choice_hangs_on_the_seed_and_not_on_order(tmp_path: Path) -> None:
    samples = [numbered(i, f"c{i % 7}") for i in range(200)]
    scores = {axis: [float(i % 11) for i in range(200)] for axis in ("sensibility", "rationality")}
    chosen = []
    for name, step in (("one", 1), ("two", -1)):
        run = write_run(tmp_path / name, samples[::step], {axis: values[::step] for axis, values in scores.items()})
        select(run)
        write_generations(run, "base")
        chosen.append([p.sample.id for p in read(run).prompts])
    assert chosen[0] == chosen[1]
    select(run, seed=1)
    assert [p.sample.id for p in read(run).prompts] != chosen[0]


def test_answers_that_were_cut_or_failed_are_marked(whole_run: Workspace) -> None:
    write_generations(whole_run, "base", every_cut=1)
    page = page_of(whole_run)
    assert page.text.count("cut at the token limit") == PROMPTS
    assert page.table("How the answers were made")[1][3] == "100.0 %"
    path = whole_run.generations / "base.parquet"
    failed = pl.read_parquet(path).with_columns(finish_reason=pl.lit("error"), response=pl.lit(None, pl.String))
    failed.write_parquet(path)
    page = page_of(whole_run)
    assert page.count("span", "flag") == PROMPTS
    assert page.text.count("no text") == PROMPTS
    assert page.table("How the answers were made")[1][4] == "600"


def test_one_way_of_asking_is_told_once_and_other_templates_are_warned_of(whole_run: Workspace) -> None:
    for model in MODELS:
        write_generations(whole_run, model)
    page = page_of(whole_run)
    assert "decoding: do_sample False, max_new_tokens 64" in page.text
    assert len(page.table("How the answers were made")[0]) == 5
    write_generations(whole_run, "moe", template={"name": "speaker_listener", "hash": "d"})
    page = page_of(whole_run)
    assert "not asked with the same prompt template" in page.text
    assert page.table("How the answers were made")[3][5] == "speaker_listener"


def test_a_file_without_its_record_or_columns_that_may_be_missing(whole_run: Workspace) -> None:
    path = write_generations(whole_run, "zephyr")
    path.with_suffix(".json").unlink()
    pl.read_parquet(path).select("sample_id", "response").write_parquet(path)
    page = page_of(whole_run)
    assert page.table("How the answers were made")[1][:5] == ["zephyr", "600", "–", "0.0 %", "0"]
    assert page.count("article", "prompt") == PROMPTS


@pytest.mark.parametrize("broken", ["cut", "columns", "types"])
def test_a_file_that_cannot_be_read_is_named_and_the_others_answer(whole_run: Workspace, broken: str) -> None:
    write_generations(whole_run, "base")
    path = write_generations(whole_run, "moe")
    if broken == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif broken == "columns":
        pl.DataFrame({"sample_id": ["a"], "text": ["b"]}).write_parquet(path)
    else:
        pl.DataFrame({"sample_id": [["a"]], "response": [{"a": 1}]}).write_parquet(path)
    page = page_of(whole_run)
    assert "Cannot show generations/moe.parquet (" in page.text
    assert [row[0] for row in page.table("How the answers were made")[1:]] == ["Base model"]
    assert page.count("article", "prompt") == PROMPTS


def test_broken_pages_of_responses_take_one_model_out(whole_run: Workspace) -> None:
    write_generations(whole_run, "base")
    path = write_generations(whole_run, "moe")
    content = path.read_bytes()
    at = content.index(b"(\xb5/\xfd", content.index(b"(\xb5/\xfd") + 4)
    path.write_bytes(content[: at + 4] + b"\xff" * 16 + content[at + 20 :])
    page = page_of(whole_run)
    assert "Cannot show generations/moe.parquet (" in page.text
    assert page.count("article", "prompt") == PROMPTS


def test_a_record_that_is_no_json_is_named(whole_run: Workspace) -> None:
    write_generations(whole_run, "base").with_suffix(".json").write_text("{")
    page = page_of(whole_run)
    assert "generations/base.json cannot be shown (Invalid JSON" in page.text
    assert page.count("article", "prompt") == PROMPTS
