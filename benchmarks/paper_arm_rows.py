"""The arms of the paper's experiment: what each trains on, and the references that it is measured on."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.selection.shares import tie_hash

MAIN = ("all", "random", "sensibility", "length-matched", "rationality", "mixed")
MORE = ("sensibility-tenth", "random-tenth", "sensibility-long", "discard", "top", "both")
EXPERTS = ("sensibility", "rationality")
LABELS = {
    "base": "the base",
    "all": "all of the training split",
    "random": "random, as many as sensibility",
    "sensibility": "sensibility",
    "length-matched": "random, with sensibility's reply lengths",
    "rationality": "rationality",
    "discard": "discard",
    "top": "highest sensibility, as many as sensibility",
    "both": "both scores above 5",
    "sensibility-long": "sensibility, as many steps as all",
    "sensibility-tenth": "sensibility, a tenth of the split",
    "random-tenth": "random, a tenth of the split",
    "average": "average of both experts",
    "moe": "MoE, routers trained",
}
MAX_LENGTH = 256
ENCODED = "encoded.pickle"


def write_rows(run: Path, out: Path) -> None:
    """What the experiment reads of a run: texts, scores and the subset of every sample."""
    table = Workspace(run)
    rows = pl.read_parquet(table.samples).select("sample_id", "dialogue_id", "turn", "context", "response", "category")
    scores = pl.read_parquet(table.scores).select("sample_id", "sensibility", "rationality")
    subsets = pl.read_parquet(table.assignments).select("sample_id", "subset")
    for other in (scores, subsets):
        rows = rows.join(other.unique("sample_id", keep="first"), on="sample_id", how="left", maintain_order="left")
    rows = rows.unique("sample_id", keep="first", maintain_order=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic(out) as path:
        rows.write_parquet(path, compression_level=19)


def training_rows(work: Path, samples: int | None) -> pl.DataFrame:
    """The training split without the dialogues of which a sample is in the test split."""
    train, test = (pl.read_parquet(work / f"{name}.parquet") for name in ("train", "test"))
    in_test = train.filter(pl.col("sample_id").is_in(test["sample_id"].implode()))["dialogue_id"]
    rows = train.filter(~pl.col("dialogue_id").is_in(in_test.implode()), pl.col("subset") != "unscored")
    return rows if samples is None else draw(rows, samples, 0)


def references(work: Path, count: int | None) -> pl.DataFrame:
    rows = pl.read_parquet(work / "test.parquet")
    return rows if count is None else draw(rows, count, 0)


def draw(rows: pl.DataFrame, size: int, seed: int) -> pl.DataFrame:
    """So many of the rows by a seeded hash of their ids, in the rows' order."""
    return rows[tie_hash(rows["sample_id"], seed).argsort(kind="stable")[:size]].sort("sample_id")


def arm_rows(rows: pl.DataFrame, arm: str, seed: int) -> pl.DataFrame:
    """The samples that an arm trains on."""
    chosen, tenth = rows.filter(subset="sensibility"), max(1, len(rows) // 10)
    drawn = 1000 + seed  # not the hash that orders them
    match arm:
        case "all":
            return rows
        case "random":
            return draw(rows, len(chosen), drawn)
        case "random-tenth":
            return draw(rows, tenth, drawn)
        case "sensibility-tenth":
            return draw(chosen, min(tenth, len(chosen)), drawn)
        case "sensibility-long":
            return chosen
        case "top":
            return rows.sort("sensibility", descending=True)[: len(chosen)].sort("sample_id")
        case "both":
            return rows.filter(pl.col("sensibility") > 5, pl.col("rationality") > 5)
        case "length-matched":
            words = pl.col("response").str.split(" ").list.len()
            groups = rows.with_columns(words=words).partition_by("words", as_dict=True)
            wanted = chosen.select(words=words)["words"].value_counts().iter_rows()
            drawn_rows = [draw(groups[words,], count, drawn) for words, count in wanted]
            return pl.concat(drawn_rows).drop("words").sort("sample_id")
        case _:
            return rows.filter(subset=arm)


def encode_all(work: Path, base: Path, jobs: int) -> None:
    """Encode every sample once, in as many processes as there are jobs, so that no arm has to do it again."""
    rows = pl.concat([pl.read_parquet(work / f"{name}.parquet") for name in ("train", "test")])
    parts = list(rows.unique("sample_id", keep="first", maintain_order=True).iter_slices(-(-len(rows) // jobs)))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        each = list(pool.map(encode_part, [base] * len(parts), parts))
    samples = {sample.sample_id: sample for part in each for sample in part.samples}
    shortened = sum(part.truncated for part in each)
    with atomic(work / ENCODED) as path:
        path.write_bytes(pickle.dumps(samples))
    print(f"{len(samples):,} samples as tokens, {shortened:,} of them without their oldest turns", file=sys.stderr)


def encode_part(base: Path, rows: pl.DataFrame) -> Any:
    from efficient_empathy.modelling.training.examples import conversational, encode
    from efficient_empathy.modelling.training.models import load_tokenizer

    return encode(conversational(rows, PromptTemplate.load("chat")), load_tokenizer(base), MAX_LENGTH)


def use_encoded(work: Path) -> None:
    """Have the trainer and the losses of this process look up what `encode_all` made, by the samples' ids."""
    if not (work / ENCODED).exists():
        return
    from efficient_empathy.modelling.training import fit, loss
    from efficient_empathy.modelling.training.examples import Encoding

    samples = pickle.loads((work / ENCODED).read_bytes())

    def look_up(rows: pl.DataFrame, tokenizer: Any, max_length: int | None = None) -> Any:
        assert max_length == MAX_LENGTH
        return Encoding([samples[one] for one in rows["sample_id"] if one in samples])

    fit.encode = loss.encode = look_up
