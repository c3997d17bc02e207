"""The drawings of the handbook: the whole way, the rules on the plane of scores, a mixed block.

    python scripts/handbook_drawings.py

They are written to docs/figures/. The rules are asked of the policies themselves, cell by cell, so that the picture
shows what `select` does. Each drawing has a style of its own for readers of the repository; in the site that gives way
to the site's style sheet, whose colours follow the reader's choice of light or dark.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import polars as pl

from efficient_empathy.selection.policies import load_policy, make_selector

OUT = Path(__file__).parents[1] / "docs" / "figures"
STYLE = """<style>
text { font: 14px system-ui, "Segoe UI", Roboto, sans-serif; fill: #1d2126 }
.small { font-size: 12px } .title { font-weight: 600 } .quiet { fill: #565d66 }
.box { fill: #ffffff; stroke: #6f6b63 } .line { fill: none; stroke: #6f6b63; stroke-width: 1.5 } .tip { fill: #6f6b63 }
.warm { fill: #f6d9cf; stroke: #b5533c } .cool { fill: #d3e2f3; stroke: #255f9e }
.grey { fill: #e6e3dc; stroke: #6f6b63 }
.mark { fill: none; stroke: #1d2126; stroke-width: 1.5; stroke-dasharray: 4 3 }
</style>"""
LOOKS = {"sensibility": "warm", "rationality": "cool", "both": "both", "discard": "grey"}
LEVELS = range(11)
SCALES = {"sensibility": (0, 10), "rationality": (0, 10)}


def main() -> None:
    """Write all drawings."""
    OUT.mkdir(exist_ok=True)
    for name, draw in (("pipeline", pipeline), ("rules", rules), ("mixture", mixture)):
        (OUT / f"{name}.svg").write_text(draw() + "\n", "utf-8")


def drawing(width: int, height: int, *parts: str) -> str:
    """An SVG of these parts, one a line."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-2 0 {width + 4} {height}">'
    return "\n".join([head, STYLE, *parts, "</svg>"])


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "middle") -> str:
    """A line of words; `y` is its base line."""
    look = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{look}>{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, kind: str, title: str, *lines: str) -> str:
    """A rounded box with a title and smaller lines, in its middle."""
    first = y + height / 2 + 5 - 8.5 * len(lines)
    words = [text(x + width / 2, first, title, "title")] if title else []
    words += [text(x + width / 2, first + 17 * (n + 1), line, "small") for n, line in enumerate(lines)]
    shape = f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" class="{kind}"/>'
    return "\n".join([shape, *words])


def arrow(*points: tuple[float, float]) -> str:
    """A line through the points with a tip at the last one, which it reaches along an axis."""
    (x0, y0), (x1, y1) = points[-2:]
    dx, dy = (x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0)
    ends = [*points[:-1], (x1 - 7 * dx, y1 - 7 * dy)]
    path = "M" + " L".join(f"{x:g} {y:g}" for x, y in ends)
    sides = [(x1 - 8 * dx + 4 * s * dy, y1 - 8 * dy + 4 * s * dx) for s in (1, -1)]
    tip = " ".join(f"{x:g},{y:g}" for x, y in [(x1, y1), *sides])
    return f'<path d="{path}" class="line"/>\n<polygon points="{tip}" class="tip"/>'


def pipeline() -> str:
    """From dialogues to a model that was compared."""
    return drawing(
        920, 250,
        box(0, 95, 128, 60, "box", "dialogues", "context, response"),
        arrow((128, 125), (160, 125)),
        box(160, 95, 122, 60, "box", "judge", "0–10 on two axes"),
        arrow((282, 125), (314, 125)),
        box(314, 95, 92, 60, "box", "select", "thresholds"),
        arrow((406, 110), (428, 110), (428, 42), (454, 42)), arrow((406, 125), (454, 125)),
        arrow((406, 140), (428, 140), (428, 212), (454, 212)),
        box(454, 14, 122, 56, "warm", "sensibility", "emotional depth"),
        box(454, 97, 122, 56, "cool", "rationality", "logical thinking"),
        box(454, 184, 122, 56, "grey", "discard", "the rest"),
        arrow((576, 42), (606, 42)), arrow((576, 125), (606, 125)),
        box(606, 14, 76, 56, "warm", "expert"), box(606, 97, 76, 56, "cool", "expert"),
        arrow((682, 42), (740, 42), (740, 62)), arrow((682, 125), (740, 125), (740, 105)),
        box(696, 62, 88, 43, "box", "mixture"),
        arrow((784, 83.5), (816, 83.5)),
        box(816, 53.5, 104, 60, "box", "evaluate", "is it better?"),
    )  # fmt: skip


def rules() -> str:
    """Which subset each pair of whole scores belongs to, by three bundled policies at their own thresholds."""
    parts, side, gap = [], 18, 96
    for place, name in enumerate(("paper", "exclusive", "both")):
        left = 46 + place * (side * len(LEVELS) + gap - 20)
        parts.append(text(left + side * len(LEVELS) / 2, 18, name, "title"))
        for (sensibility, rationality), subset in subsets_of(name).items():
            x, y = left + side * sensibility, 30 + side * (10 - rationality)
            where = f'x="{x}" y="{y}" width="{side}" height="{side}"'
            if subset == "both":
                half = side / 2
                parts.append(f'<rect x="{x}" y="{y}" width="{half:g}" height="{side}" class="warm"/>')
                parts.append(f'<rect x="{x + half:g}" y="{y}" width="{half:g}" height="{side}" class="cool"/>')
            else:
                parts.append(f'<rect {where} class="{LOOKS[subset]}"/>')
        bottom, middle = 30 + side * len(LEVELS), side * 5.5
        parts += [text(left + side * (n + 0.5), bottom + 16, str(n), "small quiet") for n in (0, 5, 10)]
        parts += [text(left - 8, bottom - side * (n + 0.5) + 4, str(n), "small quiet", "end") for n in (0, 5, 10)]
        parts.append(
            f'<path d="M{left + middle:g} 30 V{bottom} M{left} {bottom - middle:g} h{side * 11}" class="mark"/>'
        )
        parts.append(text(left + side * 5.5, bottom + 36, "sensibility", "small"))
    parts.append(
        f'<g transform="translate(14 {30 + side * 5.5:g}) rotate(-90)">{text(0, 0, "rationality", "small")}</g>'
    )
    width, y = 46 + 3 * side * 11 + 2 * (gap - 20) + 8, 30 + side * 11 + 64
    names = (("warm", "sensibility"), ("cool", "rationality"), ("grey", "discard"))
    for place, (look, name) in enumerate(names):
        parts.append(f'<rect x="{46 + place * 130}" y="{y - 11}" width="14" height="14" class="{look}"/>')
        parts.append(text(66 + place * 130, y, name, "small", "start"))
    parts.append(f'<rect x="436" y="{y - 11}" width="7" height="14" class="warm"/>')
    parts.append(f'<rect x="443" y="{y - 11}" width="7" height="14" class="cool"/>')
    parts.append(text(456, y, "both", "small", "start"))
    return drawing(width, y + 12, *parts)


def subsets_of(policy: str) -> dict[tuple[int, int], str]:
    """The subset of each pair of sensibility and rationality, as `select` decides on scores."""
    pairs = [(s, r) for s in LEVELS for r in LEVELS]
    ids = [f"{s}-{r}" for s, r in pairs]
    rows = pl.DataFrame({"sample_id": ids, "state": ["ok"] * len(ids)}).with_columns(
        sensibility=pl.Series([s for s, _ in pairs], dtype=pl.Float32),
        rationality=pl.Series([r for _, r in pairs], dtype=pl.Float32),
    )
    assigned = make_selector(load_policy(policy), SCALES, decide="scores").assign(rows)
    found = dict(assigned.select("sample_id", "subset").iter_rows())
    return {pair: found[name] for pair, name in zip(pairs, ids, strict=True)}


def mixture() -> str:
    """A block of the mixture beside the blocks of the two experts that it is made of."""

    def column(left: float, title: str, feed: str, kind: str) -> list[str]:
        return [
            text(left + 70, 20, title, "title"),
            box(left, 190, 140, 44, "grey", "attention"), arrow((left + 70, 256), (left + 70, 234)),
            arrow((left + 70, 190), (left + 70, 122)),
            box(left, 74, 140, 48, kind, "feed-forward", feed), arrow((left + 70, 74), (left + 70, 40)),
        ]  # fmt: skip

    left = 430
    return drawing(
        820, 262,
        *column(10, "sensibility’s expert", "its own", "warm"), *column(190, "rationality’s expert", "its own", "cool"),
        arrow((352, 134), (398, 134)),
        text(left + 190, 20, "a block of the mixture", "title"),
        box(left + 120, 190, 140, 44, "grey", "attention", "averaged"), arrow((left + 190, 256), (left + 190, 234)),
        arrow((left + 190, 190), (left + 190, 174)),
        box(left + 130, 138, 120, 36, "box", "router", ),
        arrow((left + 130, 156), (left + 70, 156), (left + 70, 122)),
        arrow((left + 250, 156), (left + 310, 156), (left + 310, 122)),
        text(left + 64, 146, "w", "small", "end"), text(left + 316, 146, "1 − w", "small", "start"),
        box(left, 74, 140, 48, "warm", "feed-forward", "sensibility’s"),
        box(left + 240, 74, 140, 48, "cool", "feed-forward", "rationality’s"),
        f'<path d="M{left + 70} 74 V56 H{left + 310} V74" class="line"/>',
        arrow((left + 190, 56), (left + 190, 36)),
    )  # fmt: skip


if __name__ == "__main__":
    main()
