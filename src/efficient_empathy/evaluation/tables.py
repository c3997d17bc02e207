"""A comparison as tables: what stands in every cell, and the same as aligned text, Markdown and LaTeX."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


def blocks(result: Mapping[str, Any]) -> list[Block]:
    """The tables of what `compare` returned: one a metric set, and one of what training took where that is known."""
    found = []
    for name, about in result["about"].items():
        figures = {figure: told for figure, told in result["metrics"].items() if told["set"] == name}
        columns = [_column(result, figure, told) for figure, told in figures.items()]
        rows = [
            (model["label"], [Cell(f"{model['n']:,}"), *cells])
            for model, cells in zip(result["models"], zip(*columns, strict=True), strict=True)
        ]
        heads = [f"{figure}{_ARROWS[told['better']]}" for figure, told in figures.items()]
        found.append(Block(name, ["N", *heads], rows, _line(about)))
    training = [(m["label"], _training(m)) for m in result["models"]]
    if any(cell.value != "–" for _, cells in training for cell in cells):
        found.append(Block("training", ["share of data", "tokens", "seconds", "FLOPs"], training))
    return found


def caption(result: Mapping[str, Any]) -> str:
    """What a reader must know of the numbers: N, intervals, marks."""
    part = {"test": " of the test split", "held_out": " that were held out"}.get(result.get("part") or "", "")
    told = [f"N = {result['n']:,} responses in {result['dialogues']:,} dialogues{part}."]
    level = 1 - result["confidence"]
    if result["resamples"]:
        told.append(
            f"Intervals: {result['confidence']:.0%}, over dialogues ({result['resamples']:,} bootstrap resamples; "
            "jackknife for counts of distinct things)."
        )
    if result["tests"]:
        label = next(m["label"] for m in result["models"] if m["name"] == result["baseline"])
        told.append(f"* differs from {label} (p < {level:.2g}, Holm-corrected over {len(result['tests']):,} tests).")
    return " ".join([*told, *(f"Note: {note}." for note in result["notes"])])


def text(result: Mapping[str, Any]) -> str:
    """Aligned tables for a terminal; of a single model with its intervals."""
    lines = []
    for block in blocks(result):
        grid = _alone(block) if len(block.rows) == 1 else _beside(block)
        widths = [max(len(row[i]) for row in grid) for i in range(len(grid[0]))]
        lines.append(f"{block.name}")
        for row in grid:
            cells = [f"{row[0]:<{widths[0]}}", *(f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  " + "  ".join(cells).rstrip())
        lines += [f"  {block.about}"] if block.about else []
    return "\n".join([*lines, caption(result)])


def markdown(result: Mapping[str, Any]) -> str:
    """One Markdown table a metric set; best values bold, intervals small."""
    parts = []
    for block in blocks(result):
        lines = [f"| {block.name} | {' | '.join(map(_md, block.heads))} |", "|---" + "|---:" * len(block.heads) + "|"]
        lines += [f"| {_md(label)} | {' | '.join(map(_md_cell, cells))} |" for label, cells in block.rows]
        parts += ["\n".join(lines), *([_md(block.about)] if block.about else [])]
    return "\n\n".join([*parts, _md(caption(result))]) + "\n"


def latex(result: Mapping[str, Any]) -> str:
    r"""One LaTeX table a metric set, with booktabs; best values bold, intervals on a line of their own, small."""
    tables = "\n".join(_latex_table(block, caption(result)) for block in blocks(result))
    return f"% \\usepackage{{booktabs}}\n{tables}"


def _column(result: Mapping[str, Any], figure: str, told: Mapping[str, Any]) -> list[Cell]:
    digits, models = told["digits"], result["models"]
    values = [model["values"].get(figure) for model in models]
    shown = [None if value is None else round(value, digits) for value in values]
    there = [value for value in shown if value is not None]
    best = None
    if len(set(there)) > 1 and told["better"] != "neither":
        best = max(there) if told["better"] == "higher" else min(there)
    marked = {t["model"] for t in result["tests"] if t["metric"] == figure and t["p_holm"] < 1 - result["confidence"]}
    cells = []
    for model, value in zip(models, shown, strict=True):
        low, high = model["intervals"].get(figure) or (None, None)
        interval = "" if low is None or high is None else f"[{low:.{digits}f}, {high:.{digits}f}]"
        printed = "–" if value is None else f"{value:.{digits}f}"
        cells.append(Cell(printed, interval, value is not None and value == best, model["name"] in marked))
    return cells


def _training(model: Mapping[str, Any]) -> list[Cell]:
    share, spent = model.get("share_of_data"), model.get("training") or {}
    counted = [spent.get(key) for key in ("tokens", "seconds")]
    return [
        Cell("–" if share is None else f"{share:.1%}"),
        *(Cell("–" if value is None else f"{value:,.0f}") for value in counted),
        Cell("–" if spent.get("flops") is None else f"{spent['flops']:.2e}"),
    ]


def _line(about: Mapping[str, Any]) -> str:
    """`about` as a line: "splitter: …; versions: nltk 3.10, numpy 2.4"."""
    told = []
    for key, value in about.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{name} {inner}" for name, inner in value.items())
        elif isinstance(value, list | tuple):
            value = ", ".join(map(str, value))
        told.append(f"{key.replace('_', ' ')}: {value}")
    return "; ".join(told)


def _alone(block: Block) -> list[list[str]]:
    (label, cells), *_ = block.rows
    rows = [[head, cell.value, cell.interval] for head, cell in zip(block.heads, cells, strict=True)]
    return [["", label, ""], *rows]


def _beside(block: Block) -> list[list[str]]:
    rows = [[label, *(f"{c.value}{'*' if c.significant else ' '}" for c in cells)] for label, cells in block.rows]
    return [["", *(f"{head} " for head in block.heads)], *rows]


def _md(words: str) -> str:
    return _MARKDOWN.sub(r"\\\1", html.escape(" ".join(words.split()), quote=False))


def _md_cell(cell: Cell) -> str:
    value = f"**{cell.value}**" if cell.best else cell.value
    interval = f"<br><small>{_md(cell.interval)}</small>" if cell.interval else ""
    return value + (r"\*" if cell.significant else "") + interval


def _latex_table(block: Block, told: str) -> str:
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
            rf"\caption{{{_tex(told)}{about}}}",
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
