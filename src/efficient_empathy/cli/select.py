"""`efficient-empathy select`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from efficient_empathy.cli.shared import Force, Json, Run, pairs, show
from efficient_empathy.foundation.errors import UserError


class PolicyName(StrEnum):
    """The selection policies."""

    paper = "paper"
    exclusive = "exclusive"
    both = "both"
    top = "top"


class Decide(StrEnum):
    """What a policy decides on."""

    auto = "auto"
    scores = "scores"
    probabilities = "probabilities"


def select(
    run: Run,
    policy: Annotated[PolicyName, typer.Option(help="How scores become subsets.")] = PolicyName.paper,
    alpha: Annotated[float | None, typer.Option(help="Threshold of sensibility; 5 by default.")] = None,
    beta: Annotated[float | None, typer.Option(help="Threshold of rationality; 5 by default.")] = None,
    decide: Annotated[
        Decide | None,
        typer.Option(help="On scores, or on the judge's probabilities where it gives them (auto, the default)."),
    ] = None,
    top: Annotated[
        float | None, typer.Option(help="top: the best K (whole number) or fraction (below 1) per axis.")
    ] = None,
    top_sensibility: Annotated[float | None, typer.Option(help="top: K or fraction by sensibility.")] = None,
    top_rationality: Annotated[float | None, typer.Option(help="top: K or fraction by rationality.")] = None,
    per_category: Annotated[
        bool, typer.Option("--per-category", help="top: K or fraction within each category.")
    ] = False,
    quota: Annotated[
        list[str] | None,
        typer.Option(
            help="top: K or fraction of one category, e.g. --quota sad=100. Categories that no --quota names are left "
            "out, unless --top or the like says how many of each."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Breaks ties.")] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Split a scored run into subsets and write them for fine-tuning. Never asks a judge.

    Example: efficient-empathy select --run runs/mine --policy paper --alpha 5 --beta 5
    """
    from efficient_empathy.foundation.run.workspace import Workspace
    from efficient_empathy.selection import select as run_select
    from efficient_empathy.selection import summary

    for_top: dict[str, object] = {
        "--top": top,
        "--top-sensibility": top_sensibility,
        "--top-rationality": top_rationality,
        "--per-category": per_category or None,
        "--quota": quota or None,
    }
    for_others: dict[str, object] = {"--alpha": alpha, "--beta": beta, "--decide": decide}
    _refuse(for_others if policy is PolicyName.top else for_top, policy)
    options: dict[str, Any] = {}
    if policy is PolicyName.top:
        options = {
            "top": _amount(top),
            "top_sensibility": _amount(top_sensibility),
            "top_rationality": _amount(top_rationality),
            "per_category": per_category,
            "quotas": {name: _quota(value, name) for name, value in pairs(quota, "--quota").items()},
        }
    result = run_select(
        Workspace(run),
        policy=policy.value,
        alpha=5.0 if alpha is None else alpha,
        beta=5.0 if beta is None else beta,
        seed=seed,
        decide=(decide or Decide.auto).value,
        force=force,
        **options,
    )
    show(result, as_json, summary(result, run))


def _refuse(options: dict[str, object], policy: PolicyName) -> None:
    """Raise `UserError` if an option is given that the policy would not look at."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        own = "has no thresholds" if policy is PolicyName.top else "goes by thresholds: --policy top takes amounts"
        raise UserError(f"{', '.join(given)} {'does' if len(given) == 1 else 'do'} not apply: --policy {policy} {own}")


def _quota(value: str, category: str) -> float:
    try:
        return _amount(float(value)) or 0
    except ValueError:
        raise UserError(f"--quota {category} takes a number, not {value!r}") from None


def _amount(value: float | None) -> float | None:
    """A whole number of samples, or a fraction of them."""
    return int(value) if value is not None and value >= 1 and value.is_integer() else value
