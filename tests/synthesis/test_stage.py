"""`synthesize` against a real server that writes dialogues: what is asked, what stays, what the run holds then."""

from __future__ import annotations

import io
import json
import re
import shutil

import polars as pl
import pytest
from rich.console import Console

import efficient_empathy as ee
from efficient_empathy.dialogues import write_samples
from efficient_empathy.dialogues.sample import SAMPLE_SCHEMA
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.modelling.training.examples import assign_parts
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.recipe import DIALOGUES
from efficient_empathy.scoring.stage import score
from efficient_empathy.selection import select
from efficient_empathy.synthesis import SynthesisSettings, plan_synthesis, synthesize
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.record import SynthesisRecord, plan_text, summary
from efficient_empathy.synthesis.sifting import sift
from efficient_empathy.synthesis.work import Work
from forked_command import ForkedCommand
from misbehaving_server import MisbehavingServer
from misbehaviours import ok, unauthorized
from synthesizing_server import Writer, samples, written
from tiny_models import tiny_model

LINES_AND_WORDS = r"It has (\d+) lines.*\n.*at most (\d+) words"
FEW = SynthesisSettings(samples=6, pilot=8, max_response_words=60, seed_overlap=1.0)


def make(run, server, settings=FEW, *, force=False, **options):
    endpoint = EndpointOptions(base_url=server.url, concurrency=4, **options)
    return synthesize(run, "writer", settings, endpoint=endpoint, console=Console(file=io.StringIO()), force=force)


def candidates(run) -> pl.DataFrame:
    return pl.read_parquet(run.synthesis / "candidates.parquet")


def test_what_is_kept_stands_behind_the_runs_samples_with_scores_and_is_trained_on_never_tested(run):
    before = pl.read_parquet(run.samples)
    with MisbehavingServer(Writer()) as server:
        result = make(run, server)
    assert (result.kept, result.ending) == (6, "complete")
    rows = pl.read_parquet(run.samples)
    assert rows.head(len(before)).equals(before)
    made = rows.tail(6)
    assert made.equals(pl.read_parquet(run.synthetic))
    assert set(made["split"]) == {"synthetic"}
    assert set(made["source"]) == {"synthetic/rewrite"}
    assert set(made["dialogue_id"]) <= set(before.filter(split="train")["dialogue_id"])
    table = RunTable(run).require("scores")
    scores = table.read(["state", *table.axis_names]).tail(6)
    assert set(scores["state"]) == {"ok"}
    assert scores.null_count().sum_horizontal().sum() == 0
    assert not RunTable(run).selection.current
    select(run)
    parts = assign_parts(RunTable(run), TrainingSettings())
    assert set(parts.tail(6)["part"]) <= {"fit", "unused"}
    kept = parts.tail(6).filter(pl.col("is_selected"))
    assert len(kept) >= 4  # with shares matched over all samples, one at a boundary may move


def test_every_candidate_tells_its_seed_generator_prompt_model_figures_and_fate(run):
    with MisbehavingServer(Writer({1: "I cannot write that.", 3: ""})) as server:
        result = make(run, server)
    rows = candidates(run)
    assert len(rows) == result.candidates == result.requests
    assert set(rows["model"]) == {"writer"}
    assert set(rows["prompt"]) == {result.prompts[0].hash}
    ids = set(RunTable(run).read(["sample_id"])["sample_id"])
    assert set(rows["seed_id"]) <= ids
    faults = rows.filter(step="format")
    assert len(faults) == 2
    assert any("no lines" in reason for reason in faults["reason"])
    assert "I cannot write that." in faults["reply"].to_list()
    assert rows.filter("kept")["subset"].is_in(["sensibility", "rationality"]).all()
    assert rows.filter("kept")["near_duplicate_figure"].is_not_null().all()
    counts = {step.name: (step.before, step.after) for step in result.steps}
    assert counts["format"] == (len(rows), len(rows) - 2)
    last = len(rows)
    for before, after in counts.values():
        assert before == last
        last = after
    assert last == result.kept == rows["kept"].sum()
    assert [(one.generator, one.candidates, one.kept) for one in result.makers] == [("rewrite", len(rows), 6)]
    assert sum(cell.wanted for cell in result.cells) == 6
    assert sum(cell.kept for cell in result.cells) <= 6  # those of a category that has no cell do not count
    text = summary(result, run.root)
    assert "6 synthetic samples by writer" in text
    assert re.search(r"format +\d+ of", text)


def test_the_thinnest_cells_are_asked_for_and_the_prompt_shows_a_seed_of_theirs_as_data(run):
    with MisbehavingServer(Writer()) as server:
        make(run, server)
        prompts = [body["messages"][-1]["content"] for body in server.requests]
    assert all(re.search(r"^<<<dialogue [0-9a-f]{12}$", prompt, re.MULTILINE) for prompt in prompts)
    assert all("{" not in prompt for prompt in prompts)
    plan = plan_synthesis(run, "writer", FEW, endpoint=EndpointOptions(base_url="http://localhost:1/v1"))
    lacking = {cell.values["category"] for cell in plan.cells if cell.wanted}
    lowest = min(cell.real for cell in plan.cells)
    assert all(cell.real + cell.wanted <= lowest + 2 for cell in plan.cells if cell.wanted)
    seeds = RunTable(run).read(["sample_id", "category", "split"]).filter(
        pl.col("sample_id").is_in(candidates(run)["seed_id"].implode())
    )  # fmt: skip
    assert set(seeds["split"]) == {"train"}
    assert lacking


def test_the_same_again_asks_nothing_and_more_samples_ask_only_for_the_rest(run):
    with MisbehavingServer(Writer()) as server:
        first = make(run, server)
        asked = len(server.requests)
        assert asked == first.requests
        again = make(run, server)
        assert (again.skipped, len(server.requests)) == (True, asked)
        more = make(run, server, FEW.model_copy(update={"samples": 9}))
        assert (more.skipped, more.kept) == (False, 9)
        assert len(server.requests) <= more.requests + asked - 6
    assert len(pl.read_parquet(run.samples).filter(split="synthetic")) == 9
    assert "nothing had changed" in summary(again, run.root)


def test_a_selection_in_between_changes_nothing_of_what_is_asked(run):
    with MisbehavingServer(Writer()) as server:
        make(run, server)
        asked = len(server.requests)
        select(run)
        assert make(run, server).skipped
        assert len(server.requests) == asked


def test_a_server_that_dies_costs_nothing_that_has_arrived(run):
    writer = Writer()
    server = MisbehavingServer(lambda body, n: writer(body, n) if n < 5 else unauthorized())
    with server, pytest.raises(UserError, match="the same command goes on from there"):
        make(run, server)
    assert not run.synthetic.exists()
    assert RunTable(run).selection.current
    with MisbehavingServer(Writer(first=5), port=server.port) as server:
        result = make(run, server)
        assert result.kept == 6
        assert len(server.requests) <= result.requests - 4


def test_a_budget_that_ends_in_the_middle_keeps_what_there_is_and_a_higher_one_goes_on(run, tmp_path):
    prices = tmp_path / "prices.yaml"
    prices.write_text("writer: {input: 100, output: 1000}\n")
    with MisbehavingServer(Writer(usage=(280, 64))) as server:
        short = make(run, server, FEW.model_copy(update={"max_new_tokens": 64}), max_cost=0.5, prices=prices)
        assert short.ending == "budget"
        asked = len(server.requests)
        assert 0 < short.kept < 6
        assert len(pl.read_parquet(run.samples).filter(split="synthetic")) == short.kept
        assert "A higher --max-cost goes on" in summary(short, run.root)
        whole = make(run, server, FEW.model_copy(update={"max_new_tokens": 64}), max_cost=100, prices=prices)
        assert (whole.ending, whole.kept) == ("complete", 6)
        assert len(server.requests) == whole.requests > asked
        assert whole.cost_usd > short.cost_usd > 0
        again = make(
            run, server, FEW.model_copy(update={"max_new_tokens": 64}), force=True, max_cost=100, prices=prices
        )
        assert len(server.requests) == whole.requests + again.requests
        assert again.cost_usd > 1.5 * whole.cost_usd  # asked for anew, and what was spent before counts


@pytest.mark.parametrize(
    ("reply", "step"),
    [
        ("", "format"),
        ("asdf qwer", "format"),
        ('[{"role": "speaker", "text": "My bo', "format"),
        ("Speaker: " + "word " * 10_000 + "\nListener: oh", "length"),
        ("Speaker: J'ai perdu mon chien hier soir dans le parc.\n"
         "Listener: Quelle tristesse, je suis désolé pour toi et pour ton chien.", "language"),
    ],
)  # fmt: skip
def test_where_nothing_stays_the_error_names_the_step_and_the_run_is_as_before(run, reply, step):
    before = {path.name: path.read_bytes() for path in (run.samples, run.scores, run.assignments)}
    few = FEW.model_copy(update={"max_requests": 10})
    with MisbehavingServer(Writer(always=reply)) as server:
        with pytest.raises(UserError, match=rf"none of 10 requests.*The step {step} left nothing"):
            make(run, server, few)
        assert len(server.requests) == 10
    assert {path.name: path.read_bytes() for path in (run.samples, run.scores, run.assignments)} == before
    assert RunTable(run).selection.current
    rows = pl.read_parquet(run.synthesis / "left-out.parquet")
    assert rows["reply"].fill_null("").to_list() == [reply] * 10


def test_a_model_that_says_the_same_each_time_or_repeats_the_test_split_gives_one_or_none(run):
    same = written(Writer().pool[0])
    with MisbehavingServer(Writer(always=same)) as server:
        result = make(run, server, FEW.model_copy(update={"max_requests": 20}))
    assert result.kept <= 1
    assert next(step for step in result.steps if step.name == "near_duplicate").after == 1


def test_generators_take_turns_and_keep_to_their_kind(run):
    pool = iter(Writer().pool)

    def reply(body, number):
        prompt = body["messages"][-1]["content"]
        sample = next(pool)
        return ok(written(sample) if "lines, by turns" in prompt else sample.response)

    settings = FEW.model_copy(update={"generators": ("rewrite", "answer", "situation", "repair"), "pilot": 16})
    with MisbehavingServer(reply) as server:
        result = make(run, server, settings)
        prompts = [body["messages"][-1]["content"] for body in server.requests]
    assert [one.generator for one in result.prompts] == ["rewrite", "answer", "situation", "repair"]
    rows = candidates(run)
    assert set(rows["generator"].value_counts()["count"]) <= {3, 4, 5}
    texts = {row["sample_id"]: row for row in pl.read_parquet(run.samples).iter_rows(named=True)}
    for row in rows.iter_rows(named=True):
        if row["generator"] in ("answer", "repair") and row["context"] is not None:
            assert row["context"] == texts[row["seed_id"]]["context"]
    assert rows.filter(generator="situation")["seed_id"].null_count() == len(rows.filter(generator="situation"))
    assert any("What was said of it: sensibility" in prompt for prompt in prompts)
    assert any("The speaker is a" in prompt for prompt in prompts)


def test_a_prompt_of_ones_own_is_asked_by_and_known_by_its_hash(run, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("name: own\nprompt: 'Write {lines} lines, {words} words, like this: {dialogue} {nothing}'\n")
    settings = FEW.model_copy(update={"prompts": {"rewrite": own}})
    with MisbehavingServer(Writer()) as server:
        result = make(run, server, settings)
        assert server.requests[0]["messages"][-1]["content"].endswith("{nothing}")
    assert result.prompts[0].name == "own"
    own.write_text("name: own\nprompt: 'Write {lines} lines'\n")
    with pytest.raises(UserError, match=r"lacks \{dialogue\}, \{words\}"):
        plan_synthesis(run, "writer", settings, endpoint=EndpointOptions(base_url="http://localhost:1/v1"))


def test_a_plan_asks_nothing_and_writes_nothing(run):
    before = sorted(path.name for path in run.root.iterdir())
    with MisbehavingServer(Writer()) as server:
        plan = plan_synthesis(run, "gpt-4o-mini", FEW, endpoint=EndpointOptions(base_url=server.url))
        assert not server.requests
    assert sorted(path.name for path in run.root.iterdir()) == before
    assert sum(cell.wanted for cell in plan.cells) == plan.samples == 6
    text = plan_text(plan)
    assert "6 synthetic ones go where it is thin" in text
    assert "Nothing was sent" in text
    assert "<<<dialogue" in text


def test_killed_anywhere_the_same_command_goes_on_and_ends_alike(run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run.root, other)
    arguments = ["--samples", 6, "--pilot", 8, "--max-response-words", 60, "--seed-overlap", 1.0, "--concurrency", 1]
    with MisbehavingServer(Writer()) as server:
        whole = ["synthesize", "--model", "writer", "--base-url", server.url, *arguments]
        assert ForkedCommand(*whole, "--run", other).communicate()[0] is not None

    writer = Writer()

    def dying(body, number):
        if writer.asked == 4:
            command.kill()
        return writer(body, number)

    with MisbehavingServer(dying) as server:
        command = ForkedCommand(
            "synthesize", "--model", "writer", "--base-url", server.url, *arguments, "--run", run.root
        )
        command.communicate()
        assert command.returncode < 0
        replies = (run.synthesis / "replies.jsonl").read_bytes().count(b'"replies"')
    with MisbehavingServer(Writer(first=replies), port=server.port) as server:
        command = ForkedCommand(
            "synthesize", "--model", "writer", "--base-url", server.url, *arguments, "--run", run.root
        )
        out, err = command.communicate()
        assert command.returncode == 0, err
    assert "6 synthetic samples" in out
    assert len(pl.read_parquet(run.samples).filter(split="synthetic")) == 6
    record = run.stage("synthesize", SynthesisRecord)
    assert record.kept == 6


def test_on_the_command_line_a_dry_run_and_json(run):
    with MisbehavingServer(Writer()) as server:
        arguments = ["synthesize", "--run", run.root, "--model", "writer", "--base-url", server.url, "--samples", 4,
                     "--max-response-words", 60, "--seed-overlap", 1.0, "--json"]  # fmt: skip
        out, _ = ForkedCommand(*arguments, "--dry-run").communicate()
        assert json.loads(out)["dry_run"] is True
        command = ForkedCommand(*arguments)
        out, err = command.communicate()
    assert command.returncode == 0, err
    assert json.loads(out)["kept"] == 4


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"rounds": "five"}, "rounds is a number or a range"),
        ({"rounds": "5-3"}, "the lower number first"),
        ({"generators": ()}, "at least one"),
        ({"generators": ("rewite",)}, "no generator 'rewite'"),
        ({"prompts": {"answer": "x.yaml"}}, "none of the generators"),
        ({"samples": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, fault):
    with pytest.raises(ValueError, match=fault):
        SynthesisSettings(**settings)


def test_the_kept_file_is_read_as_a_source_of_its_own(run):
    from efficient_empathy.dialogues import read

    with MisbehavingServer(Writer()) as server:
        make(run, server)
    frame = read(run.synthetic)
    assert frame.schema == SAMPLE_SCHEMA
    assert set(frame["split"]) == {"synthetic"}
    assert len(samples(10)) == 10


def test_a_test_file_is_protected_and_one_that_cannot_be_read_is_told_before_anything_is_asked(run, tmp_path):
    pool = Writer().pool
    write_samples(pool[:4], tmp_path / "test.parquet")
    settings = FEW.model_copy(update={"test_files": (str(tmp_path / "test.parquet"),)})
    with MisbehavingServer(Writer()) as server:
        make(run, server, settings)
        with pytest.raises(UserError, match="no_such"):
            make(run, server, FEW.model_copy(update={"test_files": (str(tmp_path / "no_such.jsonl"),)}))
    kept = set(pl.read_parquet(run.synthetic)["sample_id"])
    assert not kept & {sample.id for sample in pool[:4]}


def test_in_a_notebook(run):
    with MisbehavingServer(Writer()) as server:
        rows = ee.synthesize(
            run.root, "writer", base_url=server.url, samples=4, max_response_words=60, seed_overlap=1.0, quiet=True
        )
    assert rows["kept"].sum() == 4
    assert rows.filter(~pl.col("kept"))["reason"].ne("").all()


def test_a_discriminator_of_the_users_responds_once_and_its_likeness_decides(run, tmp_path):
    base = tiny_model(tmp_path / "tiny")
    settings = FEW.model_copy(update={"discriminator": str(base), "likeness": 0.0, "max_requests": 8})
    with MisbehavingServer(Writer()) as server:
        make(run, server, settings)
        rows = candidates(run)
        seen = rows.filter(pl.col("discriminator_figure").is_not_null())
        assert len(seen) >= 4
        assert seen["discriminator_figure"].is_between(0, 100.1).all()
        replies = (run.synthesis / "discriminator.jsonl").read_bytes()
        with pytest.raises(UserError, match=r"The step discriminator left nothing.*--likeness"):
            make(run, server, settings.model_copy(update={"likeness": 100.0}))
        assert (run.synthesis / "discriminator.jsonl").read_bytes() == replies
        assert candidates(run).equals(rows)
        with pytest.raises(UserError, match="no model 'nobody'"):
            make(run, server, settings.model_copy(update={"discriminator": "nobody"}))


def test_cells_by_turns_lengths_scores_and_topics_steer_what_is_asked_for(run):
    settings = FEW.model_copy(
        update={
            "by": ("turn:2", "response_words:28", "sensibility:6"),
            "targets": ("turn=under 2:1", "turn=2 or more:0"),
        }
    )
    with MisbehavingServer(Writer()) as server:
        result = make(run, server, settings)
        prompts = [body["messages"][-1]["content"] for body in server.requests]
    assert {cell.values["turn"] for cell in result.cells if cell.wanted} == {"under 2"}
    assert sum(cell.wanted for cell in result.cells) == 6
    asked = {(int(lines), int(words)) for prompt in prompts for lines, words in re.findall(LINES_AND_WORDS, prompt)}
    assert {lines for lines, _ in asked} == {2}  # one round: the response stands behind one turn
    assert {words for _, words in asked} == {27, 60}
    rows = RunTable(run).require("scores").read(["turn", "response_words", "sensibility", "split"])
    real = rows.filter(pl.col("split") == "train")
    counted = {cell.key: cell.real for cell in result.cells}
    assert sum(counted.values()) <= len(real)
    inside = real.filter(pl.col("turn") < 2, pl.col("response_words") < 28, pl.col("sensibility") >= 6)
    cells = [cell for cell in result.cells if tuple(cell.values.values()) == ("under 2", "under 28", "6 or more")]
    assert 0 < sum(cell.real for cell in cells) <= len(inside)
    kept = sum(cell.kept for cell in result.cells)
    names = [step.name for step in result.steps]
    assert names[-3:] == ["target", "diversity", "plan"]
    assert (candidates(run).filter("kept")["context"].list.len() == 1).all()
    assert all(cell.kept == 0 for cell in result.cells if not cell.share)
    assert kept == result.kept == 6  # every one is in the cell of what it turned out to be
    assert "By turn and response_words and sensibility and subset" in summary(result, run.root)


def test_a_plan_by_topic_names_topics_and_one_by_nothing_goes_by_subset(run):
    endpoint = EndpointOptions(base_url="http://localhost:1/v1")
    plan = plan_synthesis(run, "writer", FEW.model_copy(update={"by": ("topic",)}), endpoint=endpoint)
    assert len({cell.values["topic"] for cell in plan.cells}) >= 2
    plain = plan_synthesis(run, "writer", FEW.model_copy(update={"by": ()}), endpoint=endpoint)
    assert [cell.key for cell in plain.cells] == [("sensibility",), ("rationality",)]
    assert "all" in plan_text(plain)
    assert sum(cell.real for cell in plan.cells) == sum(cell.real for cell in plain.cells)


def test_a_lowest_score_drops_what_the_policy_would_have_kept_and_must_be_of_the_rubric(run):
    settings = FEW.model_copy(update={"least": {"rationality": 5.0}, "thinning": "facility_location"})
    with MisbehavingServer(Writer()) as server:
        result = make(run, server, settings)
        with pytest.raises(UserError, match="--least safety=…: the run's rubric has the axes sensibility, rationality"):
            make(run, server, FEW.model_copy(update={"least": {"safety": 4.0}}))
    rows = candidates(run)
    low = rows.filter(pl.col("reason") == "rationality under 5")
    assert len(low) > 0
    assert (low["rationality"] < 5).all()
    assert (rows.filter("kept")["rationality"] >= 5).all()
    assert result.kept == rows["kept"].sum() > 0
    diversity = json.loads((run.synthesis / "diversity.json").read_text("utf-8"))
    assert (diversity["method"], diversity["radius"]) == ("facility_location", None)


def test_a_reply_that_was_cut_off_is_no_sample_though_it_could_be_read(run):
    writer = Writer()

    def cutting(body, number):
        return ok(written(writer.pool[number]), finish_reason="length" if number in (1, 2) else "stop")

    with MisbehavingServer(cutting) as server:
        result = make(run, server)
    assert result.steps[0].reasons == {"cut off at --max-new-tokens": 2}
    assert candidates(run).filter(pl.col("reason").str.starts_with("cut off"))["reply"].str.contains("Listener").all()


def test_a_category_that_is_called_none_is_one_like_any_other(tmp_path):
    lines = (DIALOGUES / "train.jsonl").read_text("utf-8").splitlines()[:12]
    rows = [{**json.loads(line), "category": "none"} for line in lines]
    (tmp_path / "dialogues.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    run = Workspace(tmp_path / "run")
    score(tmp_path / "dialogues.jsonl", run)
    select(run)
    with MisbehavingServer(Writer()) as server:
        make(run, server, FEW.model_copy(update={"samples": 2, "generators": ("rewrite", "situation")}))
        prompts = [body["messages"][-1]["content"] for body in server.requests]
    assert set(pl.read_parquet(run.synthetic)["category"]) == {"none"}
    assert not any("something of everyday life" in prompt for prompt in prompts)


def test_a_call_that_ends_in_the_discriminator_keeps_nothing_that_no_judge_has_seen(run):
    class Interrupted:
        least = 0.0

        def compare(self, samples, console):
            return "stopped", [50.0] * len(samples)

    work = Work.prepare(run, "writer", FEW, EndpointOptions(base_url="http://localhost:1/v1"))
    made = [Candidate("rewrite", None, "", sample) for sample in Writer().pool[:3]]
    sifted = sift(made, [], Interrupted(), work.judge, Console(file=io.StringIO()))
    assert (sifted.ending, sifted.places) == ("stopped", [])
    assert set(sifted.reasons) == {"no score (not judged)"}
    assert sifted.scores["subset"].to_list() == [None] * 3
