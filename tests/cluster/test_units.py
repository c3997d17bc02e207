from pathlib import Path

import polars as pl
import pytest

from efficient_empathy.cluster.engine import count_engines, count_workers
from efficient_empathy.cluster.units import plan_units, read_unit, unit_rows, unit_size, units_of
from efficient_empathy.dialogues import write_samples
from efficient_empathy.scoring import Judgement, JudgeSpec, Ledger
from scored_runs import numbered

SPEC = JudgeSpec(judge="test", rubric="0123456789abcdef")


def test_units_hold_each_missing_sample_once(tmp_path: Path) -> None:
    samples = [numbered(i) for i in (*range(10), 3, 11, 4)]
    path = tmp_path / "samples.parquet"
    write_samples(samples, path)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        judged = [samples[0], samples[5]]
        ledger.record(SPEC, [Judgement(one.id, "ok", "test", "r", scores={"a": 1.0}) for one in judged])
        ledger.record(SPEC, [Judgement(samples[1].id, "api_error", "test", "r")])
        units = list(plan_units(path, ledger, SPEC, lambda _: 4, 8, {samples[2].id}, has_repeats=True))
    rows = pl.concat(map(unit_rows, units))
    again = list(units_of(rows.to_dict(as_series=False)))
    assert [[one.id for one in read_unit(path, unit)] for unit in again] == [
        [samples[i].id for i in part] for part in ((1, 3, 4, 6), (7, 8, 9, 11))
    ]


@pytest.mark.parametrize(
    ("rest", "workers", "most", "size"),
    [(10, 2, 4096, 32), (100_000, 2, 4096, 4096), (3200, 2, 512, 400), (3200, 4, 4096, 200), (10**7, 64, 512, 512)],
)
def test_a_unit_is_a_small_part_of_what_is_left(rest: int, workers: int, most: int, size: int) -> None:
    assert unit_size(rest, workers, most) == size


def test_the_units_become_small_towards_the_end_so_that_all_workers_end_together(tmp_path: Path) -> None:
    path = tmp_path / "samples.parquet"
    write_samples([numbered(i) for i in range(1000)], path)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        units = plan_units(path, ledger, SPEC, lambda rest: unit_size(rest, 2), 1000, (), has_repeats=False)
        sizes = [len(unit.rows) for unit in units]
    assert sum(sizes) == 1000
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], len(sizes), sizes[-4]) == (125, 19, 32)


@pytest.mark.parametrize(
    ("wanted", "cpus", "calls", "count"),
    [
        (None, 8, None, 8),
        (3, 8, None, 3),
        (9, 8, None, 8),
        (None, 8, 64, 4),
        (None, 8, 4, 1),
        (8, 8, 4, 4),
        (8, 2, 64, 2),
    ],
)
def test_all_workers_together_have_no_more_calls_than_one_window(
    wanted: int | None, cpus: int, calls: int | None, count: int
) -> None:
    assert count_workers(wanted, cpus, calls) == count


@pytest.mark.parametrize(
    ("wanted", "gpus", "machines", "count"),
    [(None, 1, [4, 0, 2], 6), (None, 4, [8, 6, 3], 3), (2, 1, [4], 2), (9, 2, [4], 2), (None, 0, [], 1), (3, 0, [], 3)],
)
def test_each_engine_has_its_gpus_on_one_machine(
    wanted: int | None, gpus: int, machines: list[int], count: int
) -> None:
    assert count_engines(wanted, 64, gpus, machines) == count
