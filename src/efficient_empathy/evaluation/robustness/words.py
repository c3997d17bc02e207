"""What a sweep came to, in words: a table, a heat map, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

SHADES = " ░▒▓█"
MOST_ROWS = 60


def summary(result: Mapping[str, Any], run: Path) -> str:
    """The result of `sweep`, with what to do next."""
    lines = [
        f"{len(result['cells'])} cells on {result['samples']:,} scored samples, decided on {result['decided_on']}"
        + (" (nothing had changed):" if result["skipped"] else ":")
    ]
    lines += _table(result["cells"])
    for policy in result["policies"]:
        cells = [cell for cell in result["cells"] if cell["policy"] == policy]
        lines += ["", *_heat_map(f"{policy}: share kept", cells, result, lambda c: c["kept_share"], "{:.1%}")]
        if result["training"]:
            title = f"{policy}: held-out loss of a model trained on {result['training']['subset']}, nats a token"
            lines += ["", *_heat_map(title, cells, result, _loss, "{:.4f}")]
    lines += ["", *_said(result)]
    if not result["training"]:
        lines.append(f"Next: efficient-empathy sweep --run {run} --train, or efficient-empathy report --run {run}")
    return "\n".join(lines)


def _table(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    subsets = list(dict.fromkeys(name for cell in cells for name in cell["subsets"]))
    trained = any(cell["trained"] for cell in cells)
    head = f"  {'policy':<10} {'α':>4} {'β':>4} " + " ".join(f"{name:>12}" for name in subsets)
    head += f" {'kept':>7} {'overlap':>8}" + (f" {'loss':>8} {'95 % interval':>19}" if trained else "")
    lines = [head]
    for cell in cells[:MOST_ROWS]:
        line = f"  {cell['policy']:<10} {cell['alpha']:>4g} {cell['beta']:>4g} "
        line += " ".join(f"{cell['subsets'].get(name, 0):>12,}" for name in subsets)
        line += f" {cell['kept_share']:>7.1%} {cell['kept_jaccard']:>8.3f}"
        if trained:
            line += _model(cell["trained"]) if cell["trained"] else f" {'–':>8}  {cell['untrained']}"
        lines.append(line)
    if len(cells) > MOST_ROWS:
        lines.append(f"  … and {len(cells) - MOST_ROWS:,} more in sweep.parquet")
    return [*lines, "  overlap: Jaccard index of what is kept here and in the default cell"]


def _model(trained: Mapping[str, Any]) -> str:
    low, high = trained["interval"]
    return f" {trained['values']['loss']:>8.4f}   {low:.4f} to {high:.4f}"


def _loss(cell: Mapping[str, Any]) -> float | None:
    return float(cell["trained"]["values"]["loss"]) if cell["trained"] else None


def _heat_map(
    title: str,
    cells: Sequence[Mapping[str, Any]],
    result: Mapping[str, Any],
    value: Callable[[Mapping[str, Any]], float | None],
    form: str,
) -> list[str]:
    """A row for each α, a column for each β; the darker, the higher. The default cell is in brackets."""
    known = {(cell["alpha"], cell["beta"]): value(cell) for cell in cells}
    values = [v for v in known.values() if v is not None]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    default = (result["default"]["alpha"], result["default"]["beta"])
    own = bool(cells) and cells[0]["policy"] == result["policy"]

    def shown(place: tuple[float, float]) -> str:
        if (v := known[place]) is None:
            return f"{'–':>10} "
        shade = SHADES[round((v - low) / (high - low) * (len(SHADES) - 1))] if high > low else SHADES[0]
        text = f"{shade}{form.format(v)}"
        return f"{f'[{text}]':>11}" if own and place == default else f"{text:>10} "

    lines = [f"  {title}", "  α \\ β " + "".join(f"{beta:>10g} " for beta in result["betas"])]
    return lines + [
        f"  {alpha:>5g} " + "".join(shown((alpha, beta)) for beta in result["betas"]) for alpha in result["alphas"]
    ]


def _figures(result: Mapping[str, Any]) -> list[str]:
    """The metrics of all models' responses, where they were asked for."""
    names = [name for name in result["training"]["figures"] if name != "loss"]
    if not names:
        return []
    rows = [(f"{c['policy']} α {c['alpha']:g} β {c['beta']:g}", c["trained"]) for c in result["cells"] if c["trained"]]
    rows += [(one["name"], one) for one in result["baselines"]]
    lines = ["Responses to the test samples:", f"  {'':<30} " + " ".join(f"{name:>9}" for name in names)]
    for label, one in rows:
        values = [one["values"][name] for name in names]
        cells = [f"{'–':>9}" if value is None else f"{value:>9.2f}" for value in values]
        lines.append(f"  {label:<30} " + " ".join(cells))
    return lines


def _said(result: Mapping[str, Any]) -> list[str]:
    lines = []
    lowest = result["rank_stability"]["lowest"].get("union")
    if lowest and lowest["kendall"] < 1:
        lines.append(
            "The categories' order by share kept differs most from the default's at "
            f"{lowest['policy']} α {lowest['alpha']:g} β {lowest['beta']:g}: Kendall's τ {lowest['kendall']:.2f}, "
            f"Spearman's ρ {lowest['spearman']:.2f}."
        )
    if not result["training"]:
        return lines
    lines += ["Baselines, held-out loss:"]
    for one in result["baselines"]:
        lines.append(f"  {one['name']:<30} {one['samples']:>8,} samples {_model(one)}")
    lines += _figures(result)
    models = result["rank_stability"]["models"]
    for what, number in models.get("better_than", {}).items():
        name = {"default": "the default cell", "all": "all data"}.get(what, what)
        lines.append(
            f"{number} of {models['cells']} cells have a lower loss than {name}, their whole interval below zero."
        )
    if "best" in models:
        lines.append(f"The best cell is {models['best']}, in {models['best_in_draws']:.0%} of draws of dialogues.")
    ranges = models["range"]
    if "cells" in ranges and "random" in ranges:
        cells, random = (ranges[what][1] - ranges[what][0] for what in ("cells", "random"))
        lines.append(
            f"The cells' losses range over {cells:.4f}, those of random subsets of one size over {random:.4f}."
        )
    return lines
