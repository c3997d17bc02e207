"""The result of an evaluation as tables (text, Markdown, LaTeX), one JSON object, a frame, and a summary."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.evaluation.record import (
    EvaluatedModel,
    EvaluationRecord,
    EvaluationResult,
    MeasuredFigure,
    TrainingCost,
)
from efficient_empathy.evaluation.stock import stock_replies
from efficient_empathy.foundation.run.files import atomic

_ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "–": "--", "×": r"$\times$", "÷": r"$\div$", "−": "$-$", "↑": r"$\uparrow$",
    "↓": r"$\downarrow$", "α": r"$\alpha$", "β": r"$\beta$", "≥": r"$\geq$", "≤": r"$\leq$",
}  # fmt: skip
_MARKDOWN = re.compile(r"([\\`*_\[\]|])")


@dataclass(frozen=True)
class Cell:
    """A figure of a model: printed, with its interval, whether it is its column's best, and whether it is significant.

    Significant is a difference to the baseline whose Holm-corrected p-value is below 1 − confidence.
    """

    value: str
    interval: str = ""
    best: bool = False
    significant: bool = False


@dataclass(frozen=True)
class Block:
    """The table of one metric set: a column a figure, a row a model; `about` is the line under it."""

    name: str
    heads: list[str]
    rows: list[tuple[str, list[Cell]]]
    about: str = ""

    @property
    def has_intervals(self) -> bool:
        """Whether any cell has one."""
        return any(cell.interval for _, cells in self.rows for cell in cells)


def blocks(record: EvaluationRecord) -> list[Block]:
    """The tables of a comparison: one a metric, and one of what training took where that is known."""
    tables = []
    for name, about in record.about.items():
        figures = {figure: one for figure, one in record.metrics.items() if one.group == name}
        columns = [_column(record, figure, one) for figure, one in figures.items()]
        rows = [
            (model.title, [Cell(f"{model.n:,}"), *cells])
            for model, cells in zip(record.models, zip(*columns, strict=True), strict=True)
        ]
        if any(figure in record.references for figure in figures):
            rows.append((REFERENCES, [Cell(f"{record.n:,}"), *_references(record, figures)]))
        heads = [f"{figure}{_ARROWS[one.better]}" for figure, one in figures.items()]
        tables.append(Block(name, ["N", *heads], rows, _line(about)))
    training = [(model.title, _training(model)) for model in record.models]
    if any(cell.value != "–" for _, cells in training for cell in cells):
        tables.append(Block("training", ["share of data", "tokens", "seconds", "FLOPs"], training))
    return tables


REFERENCES = "(the references)"
"""The row of what people replied; it is no model, so it is neither best nor tested."""


def _references(record: EvaluationRecord, figures: Mapping[str, MeasuredFigure]) -> list[Cell]:
    values = {figure: record.references.get(figure) for figure in figures}
    return [Cell("–" if (v := values[name]) is None else f"{v:.{one.digits}f}") for name, one in figures.items()]


def caption(record: EvaluationRecord, between: str = " ") -> str:
    """What a reader must know of the numbers: N, intervals, marks; then, after `between`, stock replies and notes."""
    part = {"test": " of the test split", "held_out": " that were held out"}.get(record.part, "")
    sentences = [f"N = {record.n:,} responses in {record.dialogues:,} dialogues{part}."]
    if record.resamples:
        sentences.append(
            f"Intervals: {record.confidence:.0%}, over dialogues ({record.resamples:,} bootstrap resamples; "
            "jackknife for counts of distinct things)."
        )
    if record.tests:
        level, label = 1 - record.confidence, record.titles[record.baseline]
        sentences.append(f"* differs from {label} (p < {level:.2g}, Holm-corrected over {len(record.tests):,} tests).")
    notes = [*(f"{stock}." for stock in stock_replies(record).values()), *(f"Note: {note}." for note in record.notes)]
    return between.join([" ".join(sentences), *notes])


def text(record: EvaluationRecord) -> str:
    """Aligned tables for a terminal; of a single model with its intervals."""
    lines = []
    for block in blocks(record):
        grid = _alone(block) if len(record.models) == 1 else _beside(block)
        widths = [max(len(row[i]) for row in grid) for i in range(len(grid[0]))]
        lines.append(f"{block.name}")
        for row in grid:
            cells = [f"{row[0]:<{widths[0]}}", *(f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  " + "  ".join(cells).rstrip())
        lines += [f"  {block.about}"] if block.about else []
    return "\n".join([*lines, caption(record, "\n")])


def markdown_tables(record: EvaluationRecord) -> str:
    """One Markdown table a metric set; best values bold, intervals small."""
    parts = []
    for block in blocks(record):
        lines = [f"| {block.name} | {' | '.join(map(_md, block.heads))} |", "|---" + "|---:" * len(block.heads) + "|"]
        lines += [f"| {_md(label)} | {' | '.join(map(_md_cell, cells))} |" for label, cells in block.rows]
        parts += ["\n".join(lines), *([_md(block.about)] if block.about else [])]
    return "\n\n".join([*parts, _md(caption(record))]) + "\n"


def latex_tables(record: EvaluationRecord) -> str:
    r"""One LaTeX table a metric set, with booktabs; best values bold, intervals on a line of their own, small."""
    tables = "\n".join(_latex_table(block, caption(record)) for block in blocks(record))
    return f"% \\usepackage{{booktabs}}\n{tables}"


def _column(record: EvaluationRecord, figure: str, about: MeasuredFigure) -> list[Cell]:
    digits = about.digits
    values = [model.values.get(figure) for model in record.models]
    printed = [None if value is None else round(value, digits) for value in values]
    numbers = [value for value in printed if value is not None]
    best = None
    if len(set(numbers)) > 1 and about.better != "neither":
        best = max(numbers) if about.better == "higher" else min(numbers)
    significant = {test.model for test in record.tests if test.metric == figure and record.is_significant(test)}
    cells = []
    for model, value in zip(record.models, printed, strict=True):
        ends = model.intervals.get(figure)
        interval = f"[{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]" if ends else ""
        text = "–" if value is None else f"{value:.{digits}f}"
        cells.append(Cell(text, interval, value is not None and value == best, model.name in significant))
    return cells


def _training(model: EvaluatedModel) -> list[Cell]:
    cost = model.training or TrainingCost()
    return [
        Cell("–" if model.share_of_data is None else f"{model.share_of_data:.1%}"),
        Cell("–" if cost.tokens is None else f"{cost.tokens:,.0f}"),
        Cell("–" if cost.seconds is None else f"{cost.seconds:,.0f}"),
        Cell("–" if cost.flops is None else f"{cost.flops:.2e}"),
    ]


def _line(about: Mapping[str, Any]) -> str:
    """`about` as a line: "splitter: …; versions: nltk 3.10, numpy 2.4"."""
    parts = []
    for key, value in about.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{name} {inner}" for name, inner in value.items())
        elif isinstance(value, list | tuple):
            value = ", ".join(map(str, value))
        parts.append(f"{key.replace('_', ' ')}: {value}")
    return "; ".join(parts)


def _alone(block: Block) -> list[list[str]]:
    (label, cells), *others = block.rows
    rows = [[head, cell.value, cell.interval] for head, cell in zip(block.heads, cells, strict=True)]
    for _, row in others:
        rows = [[*line, cell.value] for line, cell in zip(rows, row, strict=True)]
    return [["", label, "", *(name for name, _ in others)], *rows]


def _beside(block: Block) -> list[list[str]]:
    rows = [[label, *(f"{c.value}{'*' if c.significant else ' '}" for c in cells)] for label, cells in block.rows]
    return [["", *(f"{head} " for head in block.heads)], *rows]


def _md(words: str) -> str:
    return _MARKDOWN.sub(r"\\\1", html.escape(" ".join(words.split()), quote=False))


def _md_cell(cell: Cell) -> str:
    value = f"**{cell.value}**" if cell.best else cell.value
    interval = f"<br><small>{_md(cell.interval)}</small>" if cell.interval else ""
    return value + (r"\*" if cell.significant else "") + interval


def _latex_table(block: Block, note: str) -> str:
    rows = []
    for label, cells in block.rows:
        rows.append(rf"{_tex(label)} & {' & '.join(map(_tex_cell, cells))} \\")
        if block.has_intervals:
            small = [rf"{{\scriptsize {_tex(c.interval)}}}" if c.interval else "" for c in cells]
            rows.append(rf" & {' & '.join(small)} \\")
    heads = " & ".join(map(_tex, block.heads))
    about = f" {_tex(block.about)}." if block.about else ""
    return "\n".join(
        [
            r"\begin{table*}[t]",
            r"\centering\small",
            rf"\begin{{tabular}}{{l{'r' * len(block.heads)}}}",
            r"\toprule",
            rf"{_tex(block.name)} & {heads} \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{_tex(note)}{about}}}",
            rf"\label{{tab:{block.name}}}",
            r"\end{table*}",
            "",
        ]
    )


def _tex_cell(cell: Cell) -> str:
    value = rf"\textbf{{{_tex(cell.value)}}}" if cell.best else _tex(cell.value)
    return value + ("$^{*}$" if cell.significant else "")


def _tex(words: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(words.split()))


def figures(record: EvaluationRecord) -> dict[str, Any]:
    """What `evaluate --json` prints: `n` and `metrics` {name: value}, with `intervals` where there are any.

    Of several models `metrics` is {model: {name: value}}, and `baseline`, `models` and `tests` are as in
    `evaluation.json`. Of a run also `path`, `seconds`, `skipped`.
    """
    content = record.model_dump(mode="json")
    models = content["models"]
    result: dict[str, Any] = {"n": record.n}
    if len(models) == 1:
        result["metrics"] = models[0]["values"]
        result |= {"intervals": models[0]["intervals"]} if models[0]["intervals"] else {}
    else:
        result["metrics"] = {model["name"]: model["values"] for model in models}
        result |= {key: content[key] for key in ("baseline", "models", "tests")}
    result |= {"references": content["references"]} if record.references else {}
    result |= {"stock_replies": stock} if (stock := stock_replies(record)) else {}
    result |= {"notes": content["notes"]} if record.notes else {}
    if isinstance(record, EvaluationResult):
        result |= {"path": record.path, "seconds": record.seconds, "skipped": record.skipped}
    return result


def frame(record: EvaluationRecord) -> pl.DataFrame:
    """One row a model and figure: `model`, `metric`, `value`, `low` and `high` of its interval, `difference` to the
    baseline, `p`, `p_holm`; null where there is none."""
    tests = {(test.model, test.metric): test for test in record.tests}
    rows = []
    for model in record.models:
        for figure, value in model.values.items():
            low, high = model.intervals.get(figure) or (None, None)
            test = tests.get((model.name, figure))
            tail = (test.difference, test.p, test.p_holm) if test else (None, None, None)
            rows.append((model.name, figure, value, low, high, *tail))
    numbers = dict.fromkeys(("value", "low", "high", "difference", "p", "p_holm"), pl.Float64())
    return pl.DataFrame(rows, {"model": pl.String(), "metric": pl.String(), **numbers}, orient="row")


def summary(record: EvaluationRecord) -> str:
    """The tables for a terminal, what is significant, and where it is written."""
    lines = [text(record), *_significant(record)]
    if isinstance(record, EvaluationResult):
        lines.append(f"Written to {record.path}{' (nothing had changed)' if record.skipped else ''}")
    return "\n".join(lines)


def write_tables(
    record: EvaluationRecord,
    *,
    markdown: Path | None = None,
    latex: Path | None = None,
    json_file: Path | None = None,
) -> None:
    """Write the comparison to the files that are named, each whole or not at all. Raises `UserError`."""
    for file, content in ((markdown, markdown_tables(record)), (latex, latex_tables(record))):
        if file is not None:
            with atomic(file) as path:
                path.write_text(content, "utf-8")
    if json_file is not None:
        (record.record if isinstance(record, EvaluationResult) else record).write(json_file)


def _significant(record: EvaluationRecord) -> list[str]:
    """One line a model: on what it is significantly better and worse than the baseline."""
    if not record.tests:
        return []
    lines, stock = [], stock_replies(record)
    for name, label in record.titles.items():
        if name == record.baseline:
            continue
        better: list[str] = []
        worse: list[str] = []
        for test in record.tests:
            if test.model == name and test.difference is not None and record.is_significant(test):
                up = record.metrics[test.metric].better == "higher"
                (better if (test.difference > 0) == up else worse).append(test.metric)
        parts = [f"{word} in {', '.join(names)}" for word, names in (("better", better), ("worse", worse)) if names]
        verdict = "; ".join(parts) or "no significant difference"
        verdict += "; its replies are stock, see above" if name in stock else ""
        lines.append(f"{label} against {record.titles[record.baseline]}: {verdict}.")
    return lines
