"""The figure of dots with intervals: a row a model, as wide as its place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from efficient_empathy.foundation.figures.formatting import clip, fixed
from efficient_empathy.foundation.figures.scale import Scale, decimals, extent

_ROW, _LABEL_CLIP = 42, 34


@dataclass(frozen=True, slots=True)
class Dot:
    """One model's value, with its interval where it has one."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    best: bool = False


def dot_rows(
    title: str, rows: Sequence[Dot], shown: Callable[[float], str], best: str = "best", reference: float | None = None
) -> Markup:
    """A dot a row; `best` is what the best ones are called, `reference` where a dashed line stands."""
    span = extent([reference, *(v for row in rows for v in (row.value, *(row.interval or ())))])
    across = Scale(*span, 1.5, 98.5)
    base = _ROW * len(rows) + 8
    ticks = across.ticks(5)
    parts = [
        f'<line class="grid" x1="{across(v):.2f}%" x2="{across(v):.2f}%" y1="4" y2="{base}"/>'
        f'<text class="tick" x="{across(v):.2f}%" y="{base + 15}">{fixed(v, decimals(ticks))}</text>'
        for v in ticks
    ]
    if reference is not None and math.isfinite(reference):
        x = across(reference)
        parts.append(f'<line class="threshold" x1="{x:.2f}%" x2="{x:.2f}%" y1="4" y2="{base}"/>')
    told = []
    for i, row in enumerate(rows):
        between = f" ({shown(row.interval[0])} to {shown(row.interval[1])})" if row.interval else ""
        parts += _row(row, _ROW * i, across, shown(row.value), between, best)
        told.append(f"{clip(row.name, 80)} {shown(row.value)}{between}{f', the {best}' * row.best}")
    about = f"{'; '.join(told)}." if told else "No model has a value."
    label = escape(f"{title}. {about}")
    return Markup(
        f'<svg class="dots" width="100%" height="{base + 22}" role="img" aria-label="{label}">'
        f"<title>{escape(title)}</title><desc>{escape(about)}</desc>{''.join(parts)}</svg>"
    )


def _row(row: Dot, top: int, across: Scale, value: str, between: str, best: str) -> Iterator[str]:
    y = top + 30
    yield f'<g class="row{" lowest" * row.best}"><title>{escape(clip(row.name, 80))}: {value}{between}</title>'
    short = row.name if len(row.name) <= _LABEL_CLIP else f"{row.name[: _LABEL_CLIP - 1]}…"
    yield f'<text class="model" x="0" y="{top + 17}">{escape(clip(short))}</text>'
    yield f'<text class="measure" x="100%" y="{top + 17}">{f"{best}, " * row.best}{value}'
    yield f'<tspan class="between">{between}</tspan></text>'
    if row.interval:
        low, high = (across(v) for v in row.interval)
        yield f'<line class="whisker" x1="{low:.2f}%" x2="{high:.2f}%" y1="{y}" y2="{y}"/>'
        yield "".join(
            f'<line class="whisker" x1="{x:.2f}%" x2="{x:.2f}%" y1="{y - 4}" y2="{y + 4}"/>' for x in (low, high)
        )
    yield f'<circle class="dot" cx="{across(row.value):.2f}%" cy="{y}" r="5"/></g>'
