"""A source of several files, read on all machines of a cluster: one task a file, in the order of one machine."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.dialogues import write_samples
from efficient_empathy.dialogues.containers.parquet_file import parquet_frames
from efficient_empathy.dialogues.containers.zip_file import DataFile
from efficient_empathy.dialogues.rows import Intake
from efficient_empathy.dialogues.source import Source
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring.ledger.journal import FOLDER

_READING = "reading"
_LOOK_S = 60.0


def is_divisible(source: Source) -> bool:
    """Whether its files can be read by others: there are several, and no object would be fetched for each of many."""
    objects = [str(file.place) for file in source.data_files if not isinstance(file.place, Path)]
    return len(source.data_files) > 1 and len(set(objects)) == len(objects)


def is_in_reach(source: Source) -> bool:
    """Whether all machines of the cluster can read it: an object store needs its keys and its package on each."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    first = next((file for file in source.data_files if not isinstance(file.place, Path)), None)
    if first is None:
        return True
    look = ray.remote(_can_read)
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    answers = [
        look.options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
        ).remote(first)
        for node in nodes
    ]
    try:
        return all(ray.get(answers, timeout=_LOOK_S))
    except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError):
        return False


def _can_read(file: DataFile) -> bool:
    try:
        return file.beginning().path.is_file()
    except UserError:
        return False


def read_on_cluster(source: Source, run: Path) -> Iterator[pl.DataFrame] | None:
    """The samples of a source in order, its intake as after reading it here.

    None where files bear on those behind them, as labels inside of texts do: then it is to be read in order. Raises
    `UserError` as reading here does.
    """
    from ray.data import from_items

    folder = run / FOLDER / _READING
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = range(len(source.data_files))
    reading = from_items([{"file": number} for number in files], override_num_blocks=len(files)).map_batches(
        read_files, batch_size=1, batch_format="numpy", num_cpus=1, fn_args=(source, folder, Path.cwd())
    )
    outcomes: dict[int, tuple[Intake, str]] = {}
    for row in reading.iter_rows():
        outcomes[int(row["file"])] = pickle.loads(row["outcome"])
    source.intake.clear()
    for number in files:
        intake, error = outcomes[number]
        if error:
            shutil.rmtree(folder, ignore_errors=True)
            raise UserError(error)
        source.intake.add(intake)
    if source.intake.roles.labels:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    source.intake.require_use()
    return _frames([shard(folder, number) for number in files])


def shard(folder: Path, number: int) -> Path:
    """Where the samples of a file are, by its number."""
    return folder / f"{number}.parquet"


def read_files(batch: Mapping[str, Sequence[int]], source: Source, folder: Path, here: Path) -> dict[str, list[Any]]:
    """In a task: read files of a source into shards; what became of each."""
    outcomes = []
    with chdir(here):  # places of rows are told as the command would tell them
        for number in batch["file"]:
            intake, error = Intake(source.intake.settings), ""
            path = shard(folder, int(number))
            temporary = path.with_suffix(f".{os.urandom(4).hex()}")
            try:
                write_samples(source.samples_of(source.data_files[int(number)], intake), temporary)
                temporary.replace(path)
            except UserError as fault:
                error = str(fault)
            outcomes.append(pickle.dumps((intake, error)))
    return {"file": list(batch["file"]), "outcome": outcomes}


def _frames(shards: Sequence[Path]) -> Iterator[pl.DataFrame]:
    try:
        for path in shards:
            yield from parquet_frames(path)
            path.unlink()
    finally:
        shutil.rmtree(shards[0].parent, ignore_errors=True)
