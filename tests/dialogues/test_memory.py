"""Files far larger than the memory allowed stream through."""

from __future__ import annotations

import gzip
import json
import lzma
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

MEGABYTES = 90
ALLOWED_GROWTH_MB = 65
ROWS = 9_000
PACKED = [".gz", ".xz", ".zst", ".zip"]
TEXT = "I had a hard day and nobody listened. " * 270

READ = """
import os, re, sys
from pathlib import Path
from efficient_empathy.dialogues import open_source
def peak():  # not ru_maxrss: a child inherits its parent's
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
for line in sys.stdin:
    small, large = line.split()
    if os.fork():
        if os.wait()[1]:
            sys.exit(1)
        continue
    assert sum(1 for _ in open_source(small)) == 10
    before = peak()
    count = sum(1 for _ in open_source(large))
    print(count, peak() - before, flush=True)
    os._exit(0)
"""


def zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def write(path: Path, rows: int) -> Path:
    line = json.dumps({"context": TEXT, "response": "oh"}) + "\n"
    match path.suffix:
        case ".gz":
            with gzip.open(path, "wt", compresslevel=1) as handle:
                handle.writelines(line for _ in range(rows))
        case ".xz":
            with lzma.open(path, "wt", preset=0) as handle:
                handle.writelines(line for _ in range(rows))
        case ".zst":
            with zstd().open(path, "wt") as handle:
                handle.writelines(line for _ in range(rows))
        case ".zip":
            archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
            with archive, archive.open("train.jsonl", "w") as member:
                member.writelines(line.encode() for _ in range(rows))
        case ".txt":
            with path.open("w", encoding="utf-16") as handle:
                handle.write("context\tresponse\n")
                handle.writelines(f"{TEXT}\toh\n" for _ in range(rows))
        case ".jsonl":
            with path.open("w") as handle:
                handle.writelines(line for _ in range(rows))
        case ".json":
            with path.open("w") as handle:
                handle.write("[" + json.dumps({"context": TEXT, "response": "oh"}))
                handle.writelines("," + json.dumps({"context": TEXT, "response": "oh"}) for _ in range(rows - 1))
                handle.write("]")
        case ".csv":
            with path.open("w") as handle:
                handle.write("context,response\n")
                handle.writelines(f'"{TEXT}",oh\n' for _ in range(rows))
        case ".parquet":
            texts = [f"{i} {TEXT}" for i in range(rows)]
            frame = pl.DataFrame({"context": texts, "response": ["oh"] * rows})
            frame.write_parquet(path, compression="uncompressed", use_pyarrow=False, row_group_size=500)
    return path


@pytest.fixture(scope="module")
def reader() -> Iterator[subprocess.Popen[str]]:
    """A process that has imported what reads, and forks one for each pair of files that it is given."""
    command = [sys.executable, "-c", READ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        yield one


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv", ".parquet", ".txt", *PACKED])
def test_memory_stays_flat(reader: subprocess.Popen[str], tmp_path: Path, ending: str) -> None:
    large = write(tmp_path / f"large{ending}", ROWS)
    assert ending in PACKED or large.stat().st_size > 0.95 * MEGABYTES * 2**20
    small = write(tmp_path / f"small{ending}", 10)
    assert reader.stdin is not None
    assert reader.stdout is not None
    print(small, large, file=reader.stdin, flush=True)
    count, growth = reader.stdout.readline().split()
    assert int(count) == ROWS
    assert float(growth) < ALLOWED_GROWTH_MB
