"""From a source to a run's samples."""

import json

import polars as pl
import pytest

from efficient_empathy.dialogues import Sample, Utterance, write_samples
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.ingestion import ingest, join_synthetic
from efficient_empathy.scoring.record import ReadRecord


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "run").create()


@pytest.fixture
def chat(tmp_path):
    path = tmp_path / "a.jsonl"
    turns = [
        [{"role": "user", "content": f"Story {i}."}, {"role": "assistant", "content": f"Reply {i}."}] for i in range(5)
    ]
    path.write_text("".join(json.dumps({"messages": t}) + "\n" for t in turns), "utf-8")
    return path


def test_an_unchanged_source_is_not_read_again(workspace, chat) -> None:
    ingest(chat, workspace)
    before = workspace.samples.stat().st_mtime_ns
    ingest(chat, workspace)
    assert workspace.samples.stat().st_mtime_ns == before
    ingest(chat, workspace, force=True)
    assert workspace.samples.stat().st_mtime_ns > before


def test_bad_rows_stop_the_reading_or_are_counted(workspace, chat) -> None:
    with chat.open("a") as file:
        file.write('{"messages": "none"}\n')
    with pytest.raises(UserError, match=r"a\.jsonl:6"):
        ingest(chat, workspace)
    assert not workspace.samples.exists()
    read = ingest(chat, workspace, ReadingSettings(on_bad_row="skip"))
    assert (read.samples, read.bad_rows) == (5, 1)
    assert read.bad_row_examples[0].place.endswith("a.jsonl:6")


def test_repeated_samples_are_kept_and_counted(workspace, chat) -> None:
    chat.write_text(chat.read_text() * 2, "utf-8")
    read = ingest(chat, workspace)
    assert (read.samples, read.duplicates, read.conversations) == (10, 5, 5)


def test_a_source_without_samples_is_refused(workspace, chat) -> None:
    chat.write_text('{"messages": [{"role": "user", "content": "Hello?"}]}\n', "utf-8")
    with pytest.raises(UserError, match="no sample"):
        ingest(chat, workspace, ReadingSettings(on_bad_row="skip"))


def synthetic(workspace, *texts):
    samples = [
        Sample.of([Utterance("speaker", text)], "Oh no.", split="synthetic", source="synthetic/rewrite")
        for text in texts
    ]
    workspace.synthesis.mkdir(exist_ok=True)
    write_samples(samples, workspace.synthetic)
    return [sample.id for sample in samples]


def test_synthetic_samples_stand_behind_those_of_the_source_and_are_replaced_with_their_file(workspace, chat) -> None:
    first = ingest(chat, workspace)
    real = pl.read_parquet(workspace.samples)
    made = synthetic(workspace, "the boat sank", "the roof leaks")
    record = join_synthetic(workspace)
    rows = pl.read_parquet(workspace.samples)
    assert rows.head(len(real)).equals(real)
    assert rows["sample_id"].to_list()[len(real) :] == made
    assert (record.samples, record.synthetic) == (first.samples + 2, 2)
    assert record.conversations == first.conversations + 2
    assert join_synthetic(workspace) == workspace.stage("read", ReadRecord)
    made = synthetic(workspace, "the dog ran off")
    assert join_synthetic(workspace).samples == first.samples + 1
    assert pl.read_parquet(workspace.samples)["sample_id"].to_list()[len(real) :] == made
    workspace.synthetic.unlink()
    assert join_synthetic(workspace).synthetic == 0
    assert pl.read_parquet(workspace.samples).equals(real)


def test_reading_the_source_again_keeps_the_synthetic_samples(workspace, chat) -> None:
    ingest(chat, workspace)
    made = synthetic(workspace, "the boat sank")
    joined = join_synthetic(workspace)
    before = workspace.samples.stat()
    assert ingest(chat, workspace) == workspace.stage("read", ReadRecord)
    assert workspace.samples.stat() == before
    assert joined.synthetic == 1
    chat.write_text(chat.read_text().replace("Story 0", "Story 9"), "utf-8")
    again = ingest(chat, workspace)
    assert again.synthetic == 1
    assert pl.read_parquet(workspace.samples)["sample_id"].to_list()[-1] == made[0]
