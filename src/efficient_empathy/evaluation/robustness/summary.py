"""What a sweep or a tuning came to, in words: tables, heat maps, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from efficient_empathy.evaluation.robustness.grid import SHORT, Cell, Slice, slices, thresholds_text
from efficient_empathy.evaluation.robustness.records import (
    ModelOrder,
    SweepRecord,
    SweptCell,
    SweptPolicy,
    TrainedModel,
)
from efficient_empathy.evaluation.robustness.sweep_stage import SweepResult
from efficient_empathy.evaluation.robustness.tune_stage import TuneResult, number_text
from efficient_empathy.foundation.errors import shell
from efficient_empathy.selection.policies import display_symbol

SHADES = " ░▒▓█"
MOST_ROWS = 60
MOST_COLUMNS = 21
"""Thresholds with more values than this get no map."""
Value = Callable[[SweptCell], float | None]


def sweep_summary(result: SweepResult, run: Path) -> str:
    """The result of `sweep`, with what to do next."""
    lines = [
        f"{len(result.cells)} cells on {result.samples:,} scored samples, decided on {result.decided_on}"
        + (" (nothing had changed):" if result.skipped else ":")
    ]
    lines += _table(result)
    for policy in result.policies:
        lines += _maps(f"{policy.name}: share kept", policy, result, lambda cell: cell.kept_share, "{:.1%}")
        if result.training:
            title = f"{policy.name}: held-out loss of a model trained on {result.training.subset}, nats a token"
            lines += _maps(title, policy, result, _loss, "{:.4f}")
    lines += ["", *_findings(result)]
    if not result.training:
        lines.append(
            f"Next: efficient-empathy sweep --run {shell(run)} --train, or efficient-empathy report --run {shell(run)}"
        )
    return "\n".join(lines)


def tune_summary(result: TuneResult, run: Path) -> str:
    """The result of `tune`, with what to do next."""
    folds = ", ".join(
        f"{' '.join(f'{display_symbol(n)} {v:g}' for n, v in fold.thresholds.items())} ({_number(fold.value)})"
        for fold in result.folds
    )
    counts = ", ".join(f"{name} {n:,}" for name, n in result.subsets.items())
    options = " ".join(
        f"--{name} {value:g}" if name in SHORT else f"--threshold {name}={value:g}"
        for name, value in result.choice.items()
    )
    return "\n".join(
        [
            result.text + (" (Nothing had changed.)" if result.skipped else ""),
            f"Chosen without each fold, and the value there: {folds}; spread {_number(result.spread)}.",
            f"At the chosen thresholds: {counts}.",
            f"For a recipe: {result.fragment}",
            f"Next: efficient-empathy select --run {shell(run)} --policy {result.policy_option} {options}",
        ]
    )


def _table(record: SweepRecord) -> list[str]:
    subsets = list(dict.fromkeys(name for cell in record.cells for name in cell.subsets))
    widths = {name: max(4, len(display_symbol(name))) for cell in record.cells for name in cell.thresholds}
    head = [f"  {'policy':<10}", *(f"{display_symbol(name):>{width}}" for name, width in widths.items())]
    head += [*(f"{name:>12}" for name in subsets), f"{'kept':>7} {'overlap':>8}"]
    head += [f"{'loss':>8} {'95 % interval':>19}"] if record.training else []
    lines = [" ".join(head)]
    for cell in record.cells[:MOST_ROWS]:
        line = [f"  {cell.policy:<10}"]
        line += [f"{_number(cell.thresholds.get(name)):>{width}}" for name, width in widths.items()]
        line += [f"{cell.subsets.get(name, 0):>12,}" for name in subsets]
        line += [f"{cell.kept_share:>7.1%} {cell.kept_jaccard:>8.3f}"]
        if record.training:
            line += [_model(cell.model) if cell.model else f"{'–':>8}  {cell.untrained}"]
        lines.append(" ".join(line))
    if len(record.cells) > MOST_ROWS:
        lines.append(f"  … and {len(record.cells) - MOST_ROWS:,} more in sweep.parquet")
    return [*lines, "  overlap: Jaccard index of what is kept here and in the default cell"]


def _model(model: TrainedModel) -> str:
    low, high = model.interval
    return f"{_decimals(model.values['loss'], 4):>8}   {_decimals(low, 4)} to {_decimals(high, 4)}"


def _decimals(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _number(value: float | None) -> str:
    return "–" if value is None else number_text(value)


def _loss(cell: SweptCell) -> float | None:
    return cell.model.values["loss"] if cell.model else None


def _maps(title: str, policy: SweptPolicy, record: SweepRecord, value: Value, form: str) -> list[str]:
    """The lines or maps of one quantity of one policy."""
    cells = [(cell.thresholds, cell) for cell in record.cells if cell.policy == policy.name]
    lines: list[str] = []
    for part in slices(cells, policy.thresholds):
        others = f", at {thresholds_text(part.fixed)}" if part.fixed else ""
        if max(len(part.rows), len(part.columns)) <= MOST_COLUMNS:
            lines += ["", *_map(title + others, part, record, value, form)]
    return lines


def _map(title: str, part: Slice[SweptCell], record: SweepRecord, value: Value, form: str) -> list[str]:
    """A row for each value of one threshold, a column for each of the other; the darker, the higher.

    The default cell is in brackets.
    """
    by_place = {place: value(cell) for place, cell in part.cells.items()}
    values = [v for v in by_place.values() if v is not None]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)

    def text(place: tuple[float, float]) -> str:
        number = by_place.get(place)
        if number is None:
            return f"{'–':>10} "
        shade = SHADES[round((number - low) / (high - low) * (len(SHADES) - 1))] if high > low else SHADES[0]
        cell = f"{shade}{form.format(number)}"
        return f"{f'[{cell}]':>11}" if record.is_default(part.cells[place]) else f"{cell:>10} "

    corner = f"{display_symbol(part.y)} \\ {display_symbol(part.x)}" if part.y else display_symbol(part.x)
    width = max(5, len(corner))
    lines = [f"  {title}", f"  {corner:>{width}} " + "".join(f"{column:>10g} " for column in part.columns)]
    return lines + [
        f"  {f'{row:g}' if part.y else '':>{width}} " + "".join(text((row, column)) for column in part.columns)
        for row in part.rows
    ]


def _findings(record: SweepRecord) -> list[str]:
    lines = []
    lowest = record.rank_stability.lowest.get("union")
    if lowest and lowest.kendall is not None and lowest.kendall < 1:
        lines.append(
            "The categories' order by share kept differs most from the default's at "
            f"{Cell.of(lowest.policy, lowest.thresholds)}: Kendall's τ {lowest.kendall:.2f}, "
            f"Spearman's ρ {_decimals(lowest.spearman, 2)}."
        )
    if not record.training:
        return lines
    lines += ["Baselines, held-out loss:"]
    lines += [f"  {one.name:<30} {one.samples:>8,} samples  {_model(one)}" for one in record.baselines]
    lines += _figures(record)
    return lines + (_order(record.rank_stability.models) if record.rank_stability.models else [])


def _figures(record: SweepRecord) -> list[str]:
    """The metrics of all models' responses, where they were asked for."""
    names = [name for name in record.training.figures if name != "loss"] if record.training else []
    if not names:
        return []
    rows = [(str(Cell.of(c.policy, c.thresholds)), c.model) for c in record.cells if c.model]
    models: list[tuple[str, TrainedModel]] = [*rows, *((one.name, one) for one in record.baselines)]
    lines = ["Responses to the test samples:", f"  {'':<30} " + " ".join(f"{name:>9}" for name in names)]
    for label, one in models:
        lines.append(f"  {label:<30} " + " ".join(f"{_decimals(one.values[name], 2):>9}" for name in names))
    return lines


def _order(models: ModelOrder) -> list[str]:
    lines = []
    for what, number in models.better_than.items():
        name = {"default": "the default cell", "all": "all data"}.get(what, what)
        lines.append(
            f"{number} of {models.cells} cells have a lower loss than {name}, their whole interval below zero."
        )
    if models.best is not None and models.best_in_draws is not None:
        lines.append(f"The best cell is {models.best}, in {models.best_in_draws:.0%} of draws of dialogues.")
    cells, random = models.range.get("cells"), models.range.get("random")
    if cells and random and None not in (*cells, *random):
        ranges = [(high or 0.0) - (low or 0.0) for low, high in (cells, random)]
        lines.append(
            f"The cells' losses range over {ranges[0]:.4f}, those of random subsets of one size over {ranges[1]:.4f}."
        )
    return lines
