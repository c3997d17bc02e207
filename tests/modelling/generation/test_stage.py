from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import textwrap
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from efficient_empathy.dialogues import Sample, Utterance, write_samples
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.generation import GenerationSettings, generate, summary
from efficient_empathy.modelling.generation.local import LocalGenerator
from efficient_empathy.modelling.generation.record import GenerationRecord
from efficient_empathy.modelling.generation.replies import SCHEMA, Journal
from efficient_empathy.modelling.generation.settings import EndpointOptions
from forked_command import ForkedCommand
from manifest_entries import write_entry

SHORT = GenerationSettings(max_new_tokens=8, batch_size=3)


def quiet():
    return Console(file=io.StringIO(), width=200)


def do(workspace, model="sensibility", settings=SHORT, **options):
    return generate(workspace, model, settings, console=quiet(), **options)


def test_the_test_samples_are_answered_in_their_order(run):
    workspace = run(12)
    result = do(workspace)
    frame = pl.read_parquet(workspace.generations / "sensibility.parquet")
    assert frame.schema == SCHEMA
    samples = pl.read_parquet(workspace.samples)
    assert len(samples) == 24
    assert frame["sample_id"].to_list() == samples.filter(split="test")["sample_id"].to_list()
    assert frame["response"].null_count() == 0
    assert set(frame["finish_reason"]) <= {"stop", "length"}
    record = GenerationRecord.read(workspace.generations / "sensibility.json")
    told = record.model_dump()
    assert (told["model"], told["label"], told["backend"]) == ("sensibility", "Sensibility expert", "transformers")
    assert (told["samples"], told["template"]["name"]) == (12, "chat")
    assert told["decoding"] == {"max_new_tokens": 8, "temperature": 0.0}
    assert told["tokens_per_second"] > 0
    assert {path.name for path in workspace.generations.iterdir()} == {"sensibility.parquet", "sensibility.json"}
    assert (result.answered, result.ending, result.skipped) == (12, "complete", False)
    assert workspace.manifest().entry("generate:sensibility")["inputs"].keys() == {
        "samples.parquet", "experts/sensibility/model.safetensors", "model",
    }  # fmt: skip
    assert str(workspace.generations / "sensibility.parquet") in summary(result)


def test_it_is_done_once_and_again_when_asked_or_when_something_changed(run, tiny):
    workspace = run(6)
    first = do(workspace)
    output = workspace.generations / "sensibility.parquet"
    before = output.read_bytes(), output.stat().st_mtime_ns
    again = do(workspace)
    assert again == first.model_copy(update={"skipped": True})
    assert (output.read_bytes(), output.stat().st_mtime_ns) == before
    assert not do(workspace, force=True).skipped
    assert output.read_bytes() == before[0]
    longer = do(workspace, settings=GenerationSettings(max_new_tokens=9))
    assert not longer.skipped
    config = workspace.experts / "sensibility" / "generation_config.json"
    content = config.read_text()
    config.unlink()
    config.write_text(content.replace("{", '{"top_k": 7,', 1))
    assert not do(workspace, settings=GenerationSettings(max_new_tokens=9)).skipped


def test_more_samples_ask_only_for_those_that_are_new(run, monkeypatch):
    workspace = run(10)
    do(workspace, settings=SHORT.model_copy(update={"samples": 4}))
    few = pl.read_parquet(workspace.generations / "sensibility.parquet")
    assert len(few) == 4
    asked = []
    whole = LocalGenerator.generate

    def spied(self, prompts, done=()):
        asked.append(len(prompts) - len(done))
        return whole(self, prompts, done)

    monkeypatch.setattr(LocalGenerator, "generate", spied)
    do(workspace)
    every = pl.read_parquet(workspace.generations / "sensibility.parquet")
    assert (asked, len(every)) == ([6], 10)
    assert every.filter(pl.col("sample_id").is_in(few["sample_id"].to_list())).equals(few)


def edited(path, change):
    """The file with `change` made to its frame, as somebody's own script would leave it."""
    change(pl.read_parquet(path)).write_parquet(path)


@pytest.mark.parametrize(
    ("change", "asked_again"),
    [
        (lambda frame: frame.with_columns(response=pl.when(pl.int_range(pl.len()) == 2).then(pl.lit("Ha!"))
                                          .otherwise("response")), 1),
        (lambda frame: frame.head(7), 5),
        (lambda frame: frame.reverse(), 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("inside", [True, False])
def test_replies_that_survive_an_edit_of_the_file_are_not_asked_for_again(
    run, monkeypatch, tmp_path, tiny, change, asked_again, inside
):
    workspace = run(12)
    output = workspace.generations / "sensibility.parquet" if inside else tmp_path / "mine.parquet"
    source = tmp_path / "mine.jsonl"
    rows = [{"messages": [{"role": "user", "content": f"Story {i}"}, {"role": "assistant", "content": "Oh."}]}
            for i in range(12)]  # fmt: skip
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def answer():
        return do(workspace) if inside else do(None, str(tiny), source=source, output=output)

    answer()
    written = pl.read_parquet(output)
    edited(output, change)
    counts = []
    whole = LocalGenerator.generate
    monkeypatch.setattr(
        LocalGenerator,
        "generate",
        lambda self, prompts, done=(): counts.append(len(prompts) - len(done)) or whole(self, prompts, done),
    )
    assert not answer().skipped
    assert sum(counts) == asked_again
    assert pl.read_parquet(output).equals(written)
    assert answer().skipped


def test_a_truncated_file_of_responses_is_not_done(run):
    workspace = run(6)
    do(workspace)
    output = workspace.generations / "sensibility.parquet"
    whole = output.read_bytes()
    output.write_bytes(whole[: len(whole) // 2])
    assert not do(workspace).skipped
    assert output.read_bytes() == whole


def test_a_flipped_byte_in_an_experts_weights_is_refused_by_name(run, tiny):
    workspace = run(2)
    expert = workspace.experts / "sensibility"
    weights = expert / "model.safetensors"
    weights.unlink()
    content = bytearray((tiny / "model.safetensors").read_bytes())
    weights.write_bytes(content)
    write_entry(workspace, "train:sensibility", {}, expert.iterdir())
    do(workspace)
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match=r"sensibility/model.safetensors has changed since it was written: run .*train"):
        do(workspace, force=True)


SLOWLY = """
    import os, sys
    from efficient_empathy.modelling.generation import GenerationSettings, generate
    from efficient_empathy.modelling.generation.local import LocalGenerator
    from efficient_empathy.foundation.run.workspace import Workspace

    whole = LocalGenerator.generate

    def killed(self, prompts, done=()):
        for number, batch in enumerate(whole(self, prompts, done)):
            if number == 2:
                os.kill(os.getpid(), 9)
            yield batch

    LocalGenerator.generate = killed
    generate(Workspace(sys.argv[1]), "sensibility", GenerationSettings(max_new_tokens=8, batch_size=3))
"""


def test_after_kill_9_a_rerun_asks_for_the_rest_and_ends_with_the_same_file(run, monkeypatch):
    workspace = run(12)
    killed = ForkedCommand(workspace.root, program=textwrap.dedent(SLOWLY))
    said = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, said
    output = workspace.generations / "sensibility.parquet"
    assert not output.exists()
    done = []
    whole = LocalGenerator.generate
    monkeypatch.setattr(
        LocalGenerator, "generate", lambda self, prompts, d=(): done.append(len(d)) or whole(self, prompts, d)
    )
    do(workspace)
    assert done == [6]
    resumed = output.read_bytes()
    do(workspace, force=True)
    assert output.read_bytes() == resumed
    assert done == [6, 0]


def test_ctrl_c_keeps_what_was_answered(run, monkeypatch):
    workspace = run(12)
    whole = LocalGenerator.generate

    def interrupted(self, prompts, done=()):
        for number, batch in enumerate(whole(self, prompts, done)):
            if number == 1:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(LocalGenerator, "generate", interrupted)
    result = do(workspace)
    assert (result.ending, result.answered, result.samples) == ("stopped", 3, 12)
    assert "to go on" in summary(result)
    monkeypatch.undo()
    assert do(workspace).answered == 12


def test_a_repeated_sample_is_answered_once_and_stands_in_every_row(run):
    workspace = run(3)
    twice = Sample.of([Utterance("speaker", "Hm.")], "Yes?", dialogue_id="x", split="test")
    write_samples(
        iter([twice, Sample.of([Utterance("speaker", "No.")], "Oh.", split="test"), twice]), workspace.samples
    )
    result = do(workspace)
    frame = pl.read_parquet(workspace.generations / "sensibility.parquet")
    assert (len(frame), result.answered, frame.n_unique("sample_id")) == (3, 3, 2)
    assert frame.row(0) == frame.row(2)


def test_the_base_and_composed_models_go_by_their_names(run, tiny):
    workspace = run(2)
    shutil.copytree(tiny, workspace.moe)
    for model in ("base", "moe"):
        result = do(workspace, model)
        assert (result.model, result.answered) == (model, 2)
    base, moe = (pl.read_parquet(workspace.generations / f"{m}.parquet") for m in ("base", "moe"))
    assert base.equals(moe)


def test_the_template_is_the_trained_one_and_no_other(run):
    workspace = run(2, template="speaker_listener")
    assert do(workspace).template.name == "speaker_listener"
    with pytest.raises(UserError, match="trained with another template than 'chat': use --template speaker_listener"):
        do(workspace, settings=SHORT.model_copy(update={"template": "chat"}))
    told = do(workspace, "base", SHORT.model_copy(update={"template": "empathetic_instruction"}))
    assert told.template.name == "empathetic_instruction"


def test_without_a_test_split_the_held_out_dialogues_of_the_training_are_answered(run):
    workspace = run(2, held_out=0.3, seed=5)
    samples = [
        Sample.of([Utterance("speaker", f"Story {i}.")], "Oh.", dialogue_id=f"d{i // 2}", split="train")
        for i in range(40)
    ]
    write_samples(iter(samples), workspace.samples)
    from efficient_empathy.modelling.training.examples import partition

    parts = partition(pl.read_parquet(workspace.samples), held_out=0.3, hold_back=0.0, seed=5)
    expected = parts.filter(part="held_out")["sample_id"].to_list()
    do(workspace)
    assert pl.read_parquet(workspace.generations / "sensibility.parquet")["sample_id"].to_list() == expected
    assert 0 < len(expected) < 40


def test_a_file_outside_a_run(tmp_path, tiny):
    source = tmp_path / "mine.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": f"Story {i}"}, {"role": "assistant", "content": "Oh."}]}
        for i in (1, 2)
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / "out" / "said.parquet"
    result = do(None, str(tiny), source=source, output=output, name="tiny")
    assert (len(pl.read_parquet(output)), result.model) == (2, "tiny")
    assert json.loads(output.with_suffix(".json").read_text())["samples"] == 2
    assert do(None, str(tiny), source=source, output=output, name="tiny").skipped


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "nobody"}, "no model 'nobody'.*sensibility, base"),
        ({"model": "http://localhost:8000/v1"}, "--base-url http://localhost:8000/v1"),
        ({"source": "x.jsonl"}, "-o FILE"),
        ({"output": Path("x.parquet")}, "--source"),
        ({"source": "mine.jsonl", "output": Path("x.csv")}, "FILE.parquet"),
        ({"name": "../.."}, "--name"),
        ({"settings": SHORT.model_copy(update={"template": "no_such"})}, "no_such"),
        ({"settings": SHORT.model_copy(update={"backend": "vllm"})}, "vLLM and a GPU"),
        (
            {
                "settings": SHORT.model_copy(update={"repetition_penalty": 1.1}),
                "endpoint": EndpointOptions(base_url="http://localhost:8000/v1"),
            },
            "--repetition-penalty is for models in this process.*--extra-body",
        ),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_written(run, options, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.jsonl").write_text(
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'
    )
    workspace = run(2)
    with pytest.raises(UserError, match=said):
        do(workspace, **options)
    assert not workspace.generations.exists()


def test_a_run_that_does_not_exist_is_told(tmp_path):
    from efficient_empathy.foundation.run.workspace import Workspace

    with pytest.raises(UserError, match="no run's folder"):
        do(Workspace(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="--run RUN"):
        do(None)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_full_disk_is_one_sentence_and_what_was_answered_is_kept(run, monkeypatch):
    workspace = run(12)
    append = Journal.append
    disk = workspace.generations
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", disk], check=True)

    def fill(self, ids, *rest):
        if len(self.path.read_bytes().splitlines()) == 3:
            with contextlib.suppress(OSError), (disk / "something else").open("wb", buffering=0) as other:
                while True:
                    other.write(b"x" * 4096)
        append(self, ids, *rest)

    try:
        monkeypatch.setattr(Journal, "append", fill)
        with pytest.raises(UserError, match=r"cannot write .*/generations/.*(its disk is full|No space left)"):
            do(workspace)
        monkeypatch.undo()
        (disk / "something else").unlink()
        assert do(workspace).answered == 12
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
