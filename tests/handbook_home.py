"""The folder of somebody who has been at work with the program for a while: what the handbook's commands speak of."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from pathlib import Path

import polars as pl
import yaml

from efficient_empathy.scoring import Rubric
from efficient_empathy.synthesis import generators
from forked_command import ForkedCommand
from gguf_files import tiny_gguf
from handbook_reader import dialogue_lines
from tiny_models import tiny_encoder, tiny_model

TRAINING = "--set max_steps=2 --set batch_size=4 --set evaluate_every=0 --set max_held_out=4"
MIXING = "--batch-size 4 --set max_samples=8 --set resamples=100"
REPLIES = ("That must be hard.", "Oh no, what happened?", "I am glad for you!", "How did it go?")


def make_home(folder: Path) -> Path:
    """Fill an empty folder; the judge is the server that `$OPENAI_BASE_URL` names."""
    (folder / "logs").mkdir()
    write_dialogues(folder)
    write_tables(folder)
    write_prompts(folder)
    write_models(folder)
    make_runs(folder)
    write_people(folder)
    return folder


def write_dialogues(folder: Path) -> None:
    """Bundled dialogues, every sixth of a test split, and some in other forms."""
    rows = [json.loads(line) for line in dialogue_lines()[:54]]
    for number, row in enumerate(rows):
        row["split"] = "test" if number % 6 == 0 else "train"
    turns = [{"role": "user", "content": "I lost my keys."}, {"role": "assistant", "content": "Oh no."}]
    _write_lines(folder / "dialogues.jsonl", [*rows[:36], {**rows[1], "id": "short", "messages": turns}])
    _write_lines(folder / "more.jsonl", rows[36:48])
    _write_lines(folder / "chats.jsonl", rows[48:54])
    prompts = [f"I failed exam number {i}." for i in range(8)]
    pairs = [{"prompt": text, "chosen": REPLIES[i % 4], "rejected": "ok"} for i, text in enumerate(prompts)]
    _write_lines(folder / "pairs.jsonl", pairs)
    judged = [{"context": text, "response": REPLIES[i % 4], "evaluation": f"- Rationality: {i}\n- Sensibility: {9 - i}"}
              for i, text in enumerate(prompts)]  # fmt: skip
    (folder / "val_results.json").write_text(json.dumps(judged), "utf-8")
    turns = [(f"T{i}", who, text) for i in range(4)
             for who, text in (("customer", prompts[i]), ("agent", REPLIES[i]))]  # fmt: skip
    _write_table(folder / "tickets.csv", ("ticket", "who", "words"), turns)


def write_tables(folder: Path) -> None:
    """Responses of systems, their references, and data that classifiers are fitted on."""
    for name, start in (("ours", 0), ("theirs", 1), ("test", 2)):
        texts = [REPLIES[(start + i) % 4] for i in range(8)]
        (folder / f"{name}.txt").write_text("\n".join(texts) + "\n", "utf-8")
        _write_lines(folder / f"{name}.jsonl", [{"prediction": text} for text in texts])
    levels = ("emotional_reactions", "interpretations", "explorations")
    epitome = [{"seeker_post": f"I failed exam number {i}.", "response_post": f"{REPLIES[i % 4]} {'so ' * (i % 3)}",
                **{level: (i + place) % 3 for place, level in enumerate(levels)}} for i in range(60)]  # fmt: skip
    _write_lines(folder / "epitome.jsonl", epitome)
    (folder / "empathetic_dialogues").mkdir()
    used = dict.fromkeys(json.loads(line)["category"] for line in dialogue_lines()[:36])
    emotions = [(f"{category}:{i}", turn, category, "", turn, f"{text} {category}", "", "") for category in used
                for i in range(2) for turn, text in ((1, f"I am number {i}"), (2, REPLIES[i]))]  # fmt: skip
    head = ("conv_id", "utterance_idx", "context", "prompt", "speaker_idx", "utterance", "selfeval", "tags")
    _write_table(folder / "empathetic_dialogues" / "train.csv", head, emotions)


def write_prompts(folder: Path) -> None:
    """A rubric that is another one, one of three axes, and prompts that have samples made."""
    rubric = Rubric.load().model_dump(mode="json")
    (folder / "stricter.yaml").write_text(yaml.safe_dump(rubric | {"name": "stricter"}), "utf-8")
    axes = [{"name": name, "scale": [1, 5], "description": f"how much {name} there is."}
            for name in ("sensibility", "rationality", "safety")]  # fmt: skip
    (folder / "care-rubric.yaml").write_text(yaml.safe_dump(rubric | {"name": "care", "axes": axes}), "utf-8")
    prompts = Path(generators.__file__).parent / "prompts"
    for name, of in (("mine", "rewrite"), ("a", "answer"), ("b", "answer")):
        text = (prompts / f"{of}.yaml").read_text("utf-8")
        (folder / f"{name}.yaml").write_text(
            text.replace("system: >-", f"system: >-\n  This is prompt {name}.", 1), "utf-8"
        )


def write_models(folder: Path) -> None:
    """A language model and an encoder of a few thousand parameters, and a GGUF file."""
    tiny_model(folder / "tiny")
    (folder / "models").mkdir()
    tiny_gguf(folder / "models" / "Qwen3-0.6B-Q8_0.gguf")
    tiny_encoder(folder / "encoder")


def make_runs(folder: Path) -> None:
    """Two judges' runs under all their names, and one that is selected, trained, mixed and has answered."""
    command(folder, "score dialogues.jsonl --run runs/distilled")
    command(folder, "score dialogues.jsonl --run runs/gpt --judge openai:gpt-4o-mini")
    command(folder, "score dialogues.jsonl --run runs/care --judge openai:gpt-4o-mini --rubric care-rubric.yaml")
    for name, of in {
        "mine": "distilled",
        "other": "distilled",
        "may": "distilled",
        "april": "gpt",
        "chatgpt": "gpt",
    }.items():
        shutil.copytree(folder / "runs" / of, folder / "runs" / name)
    command(folder, "select --run runs/mine")
    for subset in ("sensibility", "rationality"):
        command(folder, f"train --run runs/mine --subset {subset} --base tiny {TRAINING}")
    command(folder, f"mix --run runs/mine {MIXING}")
    for model in ("base", "moe"):
        command(folder, f"generate --run runs/mine --model {model} --samples 6 --max-new-tokens 4")


def write_people(folder: Path) -> None:
    """Three people's ratings of samples of the runs."""
    ids = pl.read_parquet(folder / "runs" / "gpt" / "scores.parquet")["sample_id"].head(30).to_list()
    rows = [(who, one, (i + len(who)) % 11, i % 11) for i, one in enumerate(ids) for who in ("ann", "bo", "cy")]
    _write_table(folder / "people.csv", ("rater", "sample_id", "sensibility", "rationality"), rows)


def command(folder: Path, line: str) -> None:
    """A command of ours; it must succeed."""
    running = ForkedCommand(*shlex.split(line), cwd=folder)
    _, err = running.communicate(120)
    assert running.returncode == 0, (line, err)


def _write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def _write_table(path: Path, head: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])
