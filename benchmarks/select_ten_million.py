"""Select and write from ten million scores: seconds and peak memory, beside pandas doing the same.

    python benchmarks/select_ten_million.py [--rows 10000000]

Both read scores.parquet and samples.parquet (random scores; one or three short turns of context), apply the rule
`paper`, and write the assignments with reasons and each subset as Parquet and as JSON lines of `messages`; ours writes
`prompt` and `completion` too. Each runs in a process of its own that may take 85 % of the memory that the machine has
free. Where that does not do for pandas, both run again on a tenth of the rows.
Needs about 1.5 kB of disk a row.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEADROOM = 0.85


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--child", choices=("make", "ours", "pandas"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        {"make": make, "ours": ours, "pandas": peer}[options.child](options.folder, options.rows)
        return
    has_pandas = all(importlib.util.find_spec(name) for name in ("pandas", "pyarrow"))
    if not has_pandas:
        print("pandas is not here, so only ours runs; for both: pip install pandas pyarrow")
    rows = options.rows
    while not compare(rows, has_pandas) and rows >= 10_000:
        rows //= 10


def compare(rows: int, has_pandas: bool) -> bool:
    """Run both and print the table; false if pandas did not finish."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        child("make", folder, rows)
        results = {"efficient-empathy": child("ours", folder, rows)}
        if has_pandas:
            results["pandas"] = child("pandas", folder, rows)
    if "seconds" not in results["efficient-empathy"]:
        sys.exit(f"ours failed: {results['efficient-empathy']['failed']}")
    print(f"\n{rows:,} rows                seconds    CPU seconds    peak MB   subsets")
    for who, result in results.items():
        if "failed" in result:
            print(f"{who:20} did not finish within {result['limit'] / 1e9:.1f} GB of memory ({result['failed']})")
        else:
            seconds, cpu, peak, subsets = (result[key] for key in ("seconds", "cpu", "peak_mb", "subsets"))
            print(f"{who:20} {seconds:10.1f} {cpu:14.1f} {peak:10,.0f}   {subsets}")
    one, other = results["efficient-empathy"], results.get("pandas", {})
    if "seconds" in other:
        ratio = {key: other[key] / one[key] for key in ("seconds", "cpu", "peak_mb")}
        print(
            f"{'pandas ÷ ours':20} {ratio['seconds']:10.1f} {ratio['cpu']:14.1f} {ratio['peak_mb']:10.1f}", flush=True
        )
    return "failed" not in other


def child(task: str, folder: Path, rows: int) -> dict:
    """One task in a process of its own, under a limit of memory: what it told, or how it failed."""
    command = [sys.executable, __file__, "--child", task, "--folder", str(folder), "--rows", str(rows)]
    limit = int(free_bytes() * HEADROOM)
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )
    if run.returncode:
        return {"failed": (run.stderr.strip().splitlines() or [f"exit {run.returncode}"])[-1][:60], "limit": limit}
    return json.loads(run.stdout)


def free_bytes() -> int:
    """What the kernel says is available."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def print_figures(began: float, subsets: dict[str, int]) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "seconds": time.perf_counter() - began,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
    }
    print(json.dumps({**figures, "subsets": subsets}))


def make(folder: Path, rows: int) -> None:
    """Random scores and short samples, streamed to disk."""
    import polars as pl

    row = pl.col("row")
    frame = pl.DataFrame({"row": pl.int_range(rows, eager=True)}).lazy()
    digits = [(row.hash(seed) % 10**16).cast(pl.String).str.zfill(16) for seed in (1, 2)]
    frame = frame.with_columns(sample_id=pl.concat_str(digits))
    scores = {
        axis: (row.hash(seed) % 11).cast(pl.Float32) for seed, axis in enumerate(("sensibility", "rationality"), 3)
    }
    frame.select("sample_id", state=pl.lit("ok"), **scores).sink_parquet(folder / "scores.parquet", engine="streaming")
    first, second, third = (
        pl.format(f"{{}} {text}", row) for text in ("my cat is ill", "oh dear , since when", "two days")
    )
    texts = pl.when(row % 2 == 0).then(pl.concat_list(first)).otherwise(pl.concat_list(first, second, third))
    role = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("speaker")).otherwise(pl.lit("listener"))
    frame.select(
        "sample_id",
        dialogue_id=row.cast(pl.String),
        turn=pl.lit(1, pl.Int32),
        context=texts.list.eval(pl.struct(role=role, text=pl.element())),
        response=pl.format("i am sorry to hear that {}", row),
        category=pl.format("category {}", row % 32),
        split=pl.lit("train"),
        source=pl.lit("benchmark"),
    ).sink_parquet(folder / "samples.parquet", engine="streaming")
    record_scoring(folder, rows, list(scores))
    print_figures(time.perf_counter(), {})


def record_scoring(folder: Path, rows: int, axes: list[str]) -> None:
    """What the manifest says once `score` has written these two files."""
    from efficient_empathy.foundation.run.files import file_hash
    from efficient_empathy.foundation.run.stages import RubricRecord, ScoreSummary, SourceRecord
    from efficient_empathy.foundation.run.workspace import Workspace

    workspace = Workspace(folder)
    record = ScoreSummary(
        source=SourceRecord(name="benchmark", format="table", digest="0" * 64),
        samples=rows,
        conversations=rows,
        duplicates=0,
        bad_rows=0,
        inputs={workspace.samples.name: file_hash(workspace.samples)},
        rubric=RubricRecord(name="random", hash="0" * 16, axes=dict.fromkeys(axes, (0, 10))),
        judge="random",
        states={"ok": rows},
        unjudged=0,
        distributions=False,
        requests=0,
        prompt_tokens=0,
        completion_tokens=0,
        cost_usd=0.0,
        seconds=0.0,
        ending="complete",
    )
    workspace.record("score", record, [workspace.samples, workspace.scores])


def ours(folder: Path, rows: int) -> None:
    began = time.perf_counter()
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.selection import select

    print_figures(began, select(Workspace(folder), force=True).subsets)


def peer(folder: Path, rows: int) -> None:
    began = time.perf_counter()
    import numpy as np
    import pandas as pd

    target = folder / "pandas"
    target.mkdir()
    frame = pd.read_parquet(folder / "scores.parquet").merge(
        pd.read_parquet(folder / "samples.parquet"), on="sample_id"
    )
    s, r = frame["sensibility"], frame["rationality"]
    kinds = [r > 5, (s > 5) & (r < 5)]
    frame["subset"] = np.select(kinds, ["rationality", "sensibility"], "discard")
    s_text, r_text = s.astype(int).astype(str), r.astype(int).astype(str)
    reasons = ["rationality " + r_text + " > 5", "sensibility " + s_text + " > 5 and rationality " + r_text + " < 5"]
    frame["reason"] = np.select(kinds, reasons, "sensibility " + s_text + ", rationality " + r_text)
    frame.drop(columns=["context", "response", "source"]).to_parquet(target / "assignments.parquet")
    roles = {"speaker": "user", "listener": "assistant"}
    frame["messages"] = [
        [
            *({"role": roles[turn["role"]], "content": turn["text"]} for turn in context),
            {"role": "assistant", "content": response},
        ]
        for context, response in zip(frame["context"], frame["response"], strict=True)
    ]
    columns = ["messages", "sample_id", "category", "split", "sensibility", "rationality"]
    subsets = {}
    for subset, rows_of in frame.groupby("subset"):
        rows_of[columns].to_parquet(target / f"{subset}.parquet")
        rows_of[columns].to_json(target / f"{subset}.jsonl", orient="records", lines=True)
        subsets[subset] = len(rows_of)
    print_figures(began, subsets)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
