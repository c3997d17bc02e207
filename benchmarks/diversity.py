"""Thinning for diversity: CPU seconds and memory beside plain numpy loops and the libraries that do the same.

    python -m benchmarks.diversity [--rows 10000] [--facility-rows 5000] [--large 100000] [--peers FOLDER]

Rows are made up, 384 numbers of length 1 in 300 clusters, or come from --vectors FILE.npy. k-center greedy keeps 90 %,
facility location 200 rows. Each contender runs in a process of its own, in turns; the best of --rounds counts. Peers
are fpsample, skmatter (k-center greedy by the name of farthest point sampling), apricot-select (facility location) and
faiss, which has neither and computes the distances of the plain loop: installed, or in the folder --peers (pip install
--target FOLDER). At --large rows (0: none) ours alone runs to the end; what the plain loop would take follows from its
first picks, which all cost the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.contenders.meter import meter

Pick = Callable[[np.ndarray, int], np.ndarray]
WIDTH, CLUSTERS = 384, 300
KEPT, FACILITIES, LARGE_FACILITIES, FIRST = 0.9, 200, 500, 100
CLOCK = 0.001
"""What the CPU clock may round down to nothing: a job of fewer seconds counts as one of so many."""


def our_k_center(rows: np.ndarray, size: int) -> np.ndarray:
    from efficient_empathy.synthesis.diversity import k_center

    return k_center(rows, size).order


def our_facility_location(rows: np.ndarray, size: int) -> np.ndarray:
    from efficient_empathy.synthesis.diversity import facility_location

    return facility_location(rows, size).order


def plain_k_center(rows: np.ndarray, size: int) -> np.ndarray:
    order, similarity = [0], np.full(len(rows), -np.inf, np.float32)
    while len(order) < size:
        np.maximum(similarity, rows @ rows[order[-1]], out=similarity)
        similarity[order[-1]] = np.inf
        order.append(int(similarity.argmin()))
    return np.array(order)


def plain_facility_location(rows: np.ndarray, size: int) -> np.ndarray:
    similarity = rows @ rows.T
    order: list[int] = []
    nearest = np.full((len(rows), 1), -1, np.float32)
    while len(order) < size:
        gains = np.maximum(similarity - nearest, 0).sum(0)
        gains[order] = -1
        order.append(int(gains.argmax()))
        np.maximum(nearest, similarity[:, order[-1:]], out=nearest)
    return np.array(order)


def faiss_loop(rows: np.ndarray, size: int) -> np.ndarray:
    import faiss

    order, distance = [0], np.full(len(rows), np.inf, np.float32)
    while len(order) < size:
        np.minimum(distance, faiss.pairwise_distances(rows[order[-1:]], rows)[0], out=distance)
        distance[order[-1]] = -1
        order.append(int(distance.argmax()))
    return np.array(order)


def fpsample_k_center(rows: np.ndarray, size: int) -> np.ndarray:
    import fpsample

    return fpsample.fps_sampling(rows, size, start_idx=0)


def skmatter_k_center(rows: np.ndarray, size: int) -> np.ndarray:
    from skmatter.sample_selection import FPS

    return FPS(n_to_select=size, initialize=0).fit(rows).selected_idx_


def apricot_facility_location(rows: np.ndarray, size: int) -> np.ndarray:
    from apricot import FacilityLocationSelection

    similarity = (1 + rows.astype(np.float64) @ rows.T) / 2
    return FacilityLocationSelection(size, metric="precomputed", optimizer="lazy").fit(similarity).ranking


K_CENTER: dict[str, Pick] = {
    "efficient-empathy": our_k_center,
    "plain numpy loop": plain_k_center,
    "faiss in the plain loop": faiss_loop,
    "fpsample": fpsample_k_center,
    "skmatter": skmatter_k_center,
}
FACILITY_LOCATION: dict[str, Pick] = {
    "efficient-empathy": our_facility_location,
    "plain numpy greedy": plain_facility_location,
    "apricot-select, lazy": apricot_facility_location,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--facility-rows", type=int, default=5_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--one", nargs=4, metavar=("JOB", "NAME", "FILE", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        job, name, file, size = options.one
        measure((K_CENTER if job == "k-center" else FACILITY_LOCATION)[name], np.load(file), int(size))
        return
    with TemporaryDirectory() as folder:
        rows = np.load(options.vectors) if options.vectors else made_up(max(options.rows, options.large))
        files = {count: Path(folder) / f"{count}.npy" for count in (options.rows, options.facility_rows, options.large)}
        for count, file in files.items():
            np.save(file, rows[np.random.default_rng(0).permutation(len(rows))[:count]])
        del rows
        size = int(KEPT * options.rows)
        print(f"\nk-center greedy, {size:,} of {options.rows:,}, CPU seconds\n")
        compare("k-center", K_CENTER, files[options.rows], size, options)
        count = min(FACILITIES, options.facility_rows)
        print(f"\nFacility location, {count:,} of {options.facility_rows:,}, CPU seconds\n")
        compare("facility location", FACILITY_LOCATION, files[options.facility_rows], count, options)
        if options.large:
            large(files[options.large], options)


def compare(job: str, contenders: dict[str, Pick], file: Path, size: int, options: argparse.Namespace) -> None:
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name in contenders:
            results[name].append(run(job, name, file, size, options))
    ours = results["efficient-empathy"]
    best = max(min(one["cpu"] for one in ours), CLOCK)
    print("| | CPU s | × ours | peak MB | picks in common |\n|---|---|---|---|---|")
    for name, runs in results.items():
        if fault := runs[0].get("fault"):
            print(f"| {name} | not run: {fault} | | | |")
            continue
        cpu, peak = min(one["cpu"] for one in runs), max(one["peak_mb"] for one in runs)
        common = len({*runs[0]["order"]} & {*ours[0]["order"]}) / size
        print(f"| {name} | {cpu:.2f} | {cpu / best:.1f} | {peak:,.0f} | {common:.2%} |")


def large(file: Path, options: argparse.Namespace) -> None:
    size = int(KEPT * options.large)
    ours = run("k-center", "efficient-empathy", file, size, options)
    first = run("k-center", "plain numpy loop", file, FIRST, options)
    plain = first["cpu"] / FIRST * size
    print(f"\n{options.large:,} rows\n\n| | CPU s | wall s | peak MB |\n|---|---|---|---|")
    print(f"| k-center, {size:,} kept | {ours['cpu']:.0f} | {ours['seconds']:.0f} | {ours['peak_mb']:,.0f} |")
    print(f"| the plain loop, by its first {FIRST} picks | {plain:,.0f} | | {first['peak_mb']:,.0f} |")
    count = min(LARGE_FACILITIES, options.large)
    ours = run("facility location", "efficient-empathy", file, count, options)
    print(f"| facility location, {count:,} kept | {ours['cpu']:.0f} | {ours['seconds']:.0f} | {ours['peak_mb']:,.0f} |")


def run(job: str, name: str, file: Path, size: int, options: argparse.Namespace) -> dict[str, Any]:
    """One contender in a process of its own: what `measure` prints, or what went wrong."""
    paths = [*sys.path, *([str(options.peers)] if options.peers else [])]
    command = [sys.executable, "-m", "benchmarks.diversity", "--one", job, name, str(file), str(size)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return {"fault": done.stderr.strip().splitlines()[-1]}
    meters, picks = done.stdout.strip().splitlines()[-2:]
    return {**json.loads(meters), **json.loads(picks)}


def measure(pick: Pick, rows: np.ndarray, size: int) -> None:
    pick(rows[:300], 10)  # imports, and what compiles on its first use
    with meter():
        order = pick(rows, size)
    print(json.dumps({"order": [int(place) for place in order]}))


def made_up(count: int) -> np.ndarray:
    """Clusters with a spectrum that falls as that of text embeddings."""
    rng = np.random.default_rng(0)
    spectrum = (np.arange(1, WIDTH + 1) + 5.0) ** -0.6
    rows = rng.normal(size=(count, WIDTH)).astype(np.float32)
    rows += 0.8 * rng.normal(size=(CLUSTERS, WIDTH)).astype(np.float32)[rng.integers(0, CLUSTERS, count)]
    rows *= spectrum.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
