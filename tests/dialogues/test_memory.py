"""Files far larger than the memory allowed stream through."""

from __future__ import annotations

import gzip
import json
import lzma
import subprocess
import sys
import zipfile
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
import re, sys
from pathlib import Path
from efficient_empathy.dialogues import open_source
def peak():  # not ru_maxrss: a child inherits its parent's
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
assert sum(1 for _ in open_source(sys.argv[1])) == 10
before = peak()
count = sum(1 for _ in open_source(sys.argv[2]))
print(count, peak() - before)
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


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv", ".parquet", ".txt", *PACKED])
def test_memory_stays_flat(tmp_path: Path, ending: str) -> None:
    large = write(tmp_path / f"large{ending}", ROWS)
    assert ending in PACKED or large.stat().st_size > 0.95 * MEGABYTES * 2**20
    small = write(tmp_path / f"small{ending}", 10)
    run = subprocess.run([sys.executable, "-c", READ, small, large], check=True, capture_output=True, text=True)
    count, growth = run.stdout.split()
    assert int(count) == ROWS
    assert float(growth) < ALLOWED_GROWTH_MB
