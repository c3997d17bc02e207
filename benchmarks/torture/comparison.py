"""What a folder holds, scrubbed of times, so that two runs can be held against each other; and what a ledger holds."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import tempfile
import zipfile
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
from rich.console import Console

from benchmarks.torture.forks import call
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.integrity import check

_TIMES = re.compile(
    r"(seconds|finished_at|written_at|started_at|created_at|made_at|tokens_per_second|samples_per_second|wall_s|pid|"
    r"speed|rate|mtime_ns|.*_seconds|.*_s|resumed_from|cost_usd|requests|judged|prompt_tokens|completion_tokens)"
)
"""What a record says of times, and of what its own call had to ask for: less, where a killed one had asked before."""
_SPOKEN_TIME = re.compile(
    rb"\d[\d,.]*(\s|\xc2\xa0|\xe2\x80\xaf)?(s|ms|min|h|seconds|tokens/s)\b|\d{4}-\d\d-\d\d[^<\"|]*"
    rb"|(?<=\| seconds \| )[\d.,]+|\d{1,2} [A-Z][a-z]+ \d{4}, \d\d:\d\d"
)
_MOST_JSON = 200_000
_LEFT_OUT = re.compile(r"(.*/)?(\.lock|ledger\.sqlite.*|progress\.json)")
_SHEETS = re.compile(r"(^|/)ratings/(key\.json|sheets/[\w-]+\.xlsx)$")


def contents(root: Path) -> dict[str, str]:
    """By path, a hash of each file (JSON as it is) without what differs as time does; without ledgers and locks.

    Of sheets of ratings and their key it is what they come to together: the rest is drawn by a secret.
    """
    result = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            place = path.relative_to(root).as_posix()
            if not _LEFT_OUT.fullmatch(place):
                content = _sheets(path) if _SHEETS.search(place) else _scrubbed(path)
                is_text = path.suffix == ".json" and len(content) < _MOST_JSON
                result[place] = content.decode() if is_text else hashlib.sha256(content).hexdigest()[:16]
    return result


def _scrubbed(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".json" and path.name != "tokenizer.json":
        try:
            return json.dumps(_without_times(json.loads(content), path.name), sort_keys=True).encode()
        except ValueError:
            return b"broken JSON"
    if path.suffix in (".md", ".html", ".yaml", ".txt"):
        return _SPOKEN_TIME.sub(b"", content)
    if path.suffix == ".xlsx":
        with zipfile.ZipFile(path) as book:
            names = sorted(name for name in book.namelist() if name != "docProps/core.xml")
            return b"".join(name.encode() + book.read(name) for name in names)
    return content


def _sheets(path: Path) -> bytes:
    """Of a key: the samples on each sheet, and whether this has the key's items in their order; nothing of a sheet."""
    if path.suffix != ".json":
        return b""
    try:
        key = json.loads(path.read_text("utf-8"))
        content = {
            sheet["rater"]: {
                "files": {name: _items(path.parent / "sheets" / name) == [*sheet["items"]] for name in sheet["files"]},
                "samples": sorted({(item["task"], item["sample_id"]) for item in sheet["items"].values()}),
                "items": len(sheet["items"]),
            }
            for sheet in key["sheets"]
        }
        kept = {name: key[name] for name in ("version", "seed", "models", "questions", "dialogues")}
        return json.dumps({**kept, "sheets": content}, sort_keys=True).encode()
    except (ValueError, KeyError) as error:
        return f"a broken key: {error}".encode()


def _items(path: Path) -> list[str]:
    """The items on a sheet, in their order; none on one that is missing or broken."""
    try:
        book = openpyxl.load_workbook(path, read_only=True)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return []
    with closing(book):
        pages = [book[name] for name in book.sheetnames[1:]]
        return [str(row[0]) for page in pages for row in page.iter_rows(min_row=2, max_col=1, values_only=True)]


def problems(run: Path) -> list[str]:
    """What `check` finds wrong with a run, if there is one."""
    return list(call(lambda: _check(run))) if run.exists() else []


def _check(run: Path) -> list[str]:
    try:
        return [f"check: {problem.text()}" for problem in check(Workspace(run), console=Console(quiet=True)).problems]
    except Exception as error:
        return [f"check fails: {error!r}"]


def difference(one: str, other: str) -> str:
    """Where two contents of `contents` differ first; empty where that cannot be told."""
    try:
        return _first_difference(json.loads(one), json.loads(other), "")
    except ValueError:
        return ""


def _first_difference(one: Any, other: Any, place: str) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if one.get(key) != other.get(key):
                return _first_difference(one.get(key), other.get(key), f"{place}.{key}")
    return f"{place}: {str(one)[:60]} against {str(other)[:60]}"


def _without_times(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        # the hashes of files that hold times differ; the files themselves are compared
        hashes = {"sha256", "size"} if name == "manifest.json" and "stage" in value else set()
        return {k: _without_times(v, name) for k, v in value.items() if not _TIMES.fullmatch(k) and k not in hashes}
    return [_without_times(one, name) for one in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Answers:
    """What the ledgers of a folder hold, and what was generated there."""

    answered: frozenset[tuple[str, str, str]]
    """Ledger, spec and sample of every judgement that is ok, and of every reply that is kept."""
    twice: int
    """How many of these have more than one."""
    content: str
    """A hash of all of them, without times."""
    under_way: int
    """Samples in batches that the ledgers know of."""
    paid_usd: float
    """What they say was spent: by the judgements, or as it was committed."""


def answers(root: Path) -> Answers:
    """What the ledgers and generations below a folder hold now."""
    content = call(lambda: _read(root))
    return Answers(frozenset(map(tuple, content.pop("answered"))), **content)


def _read(root: Path) -> dict[str, Any]:
    """Every ledger is read as a later process would, in a copy."""
    keys: Counter[tuple[str, str, str]] = Counter()
    rows: list[str] = []
    paid, under_way = 0.0, 0
    for path in sorted(root.rglob("ledger.sqlite")):
        with tempfile.TemporaryDirectory() as copy:
            for file in path.parent.glob("ledger.sqlite*"):
                shutil.copyfile(file, Path(copy) / file.name)
            with closing(sqlite3.connect(Path(copy) / path.name)) as db, suppress(sqlite3.OperationalError):
                place = path.relative_to(root).as_posix()
                for spec, sample, scores, raw in db.execute(
                    "SELECT key, sample_id, scores, raw FROM judgements JOIN specs ON specs.id = spec_id "
                    "WHERE state = 'ok'"
                ):
                    keys[place, spec, sample] += 1
                    rows.append(f"{place} {spec} {sample} {scores} {raw}")
                cost = db.execute("SELECT coalesce(sum(cost_usd), 0) FROM judgements").fetchone()[0]
                committed = db.execute("SELECT coalesce(max(committed_usd), 0) FROM spending").fetchone()[0]
                paid += max(cost, committed)
                batches = db.execute("SELECT coalesce(sum(requests), 0) FROM batches WHERE outcome IS NULL").fetchone()
                under_way += batches[0]
    for folder in sorted(root.rglob("generations")):
        paid += _read_generations(folder, folder.relative_to(root).as_posix(), keys)
    content = hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()
    twice = sum(count > 1 for count in keys.values())
    return {"answered": list(keys), "twice": twice, "content": content, "under_way": under_way, "paid_usd": paid}


def _read_generations(folder: Path, place: str, keys: Counter[tuple[str, str, str]]) -> float:
    """Count the replies in a folder's journals and outputs; what they say was spent."""
    paid: dict[str, float] = {}
    for record in folder.glob("*.json"):
        output = record.with_suffix(".parquet")
        if output.exists():
            paid[record.stem] = json.loads(record.read_text("utf-8")).get("cost_usd", 0.0)
            for sample in pl.read_parquet(output)["sample_id"].to_list():
                keys[f"{place}/{record.stem}", "", sample] = 1
    for journal in folder.glob(".*.partial.jsonl"):
        name = journal.name.removeprefix(".").removesuffix(".partial.jsonl")
        for line in journal.read_text("utf-8").splitlines():
            with suppress(ValueError):
                content = json.loads(line)
                if "committed_usd" in content:
                    paid[name] = max(paid.get(name, 0.0), content["committed_usd"])
                for row in content.get("replies", []):
                    keys[f"{place}/{name}", "", row[0]] = 1
    return sum(paid.values())
