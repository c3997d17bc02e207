"""The cascade on a real judge's judgements: calls saved against errors made, and how often the promise held.

    python -m benchmarks.cascade [--orders 200] [--cache FOLDER] [--judgements FILE]

The oracle is ChatGPT's 5,734 released judgements, read from $EMPATHY_SHARED_DATA. The distilled judge is cross-fitted
(5 folds by dialogue): it never saw a sample that it answers, nor one of its dialogue. Fitting it takes a quarter of an
hour on two cores; --cache keeps the folds. Every order is another random draw; the expert's answers are looked up, so
200 orders take a quarter of an hour, most of it for F1 and for the step between, which is simulated: the expert's
scores with normal noise of a point. Calls saved count the calibration sample and the step's trial as spent; the check
at the end is left out.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console

from efficient_empathy.encoders import PairTokenizer
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.cascade.f1 import F1Goal
from efficient_empathy.labelling.cascade.guarantee import (
    ErrorGoal,
    Evidence,
    Goal,
    f1_score,
    most_uncertain,
    prove,
)
from efficient_empathy.labelling.cascade.phases import BOUGHT
from efficient_empathy.labelling.cascade.plan import plan_cascade
from efficient_empathy.labelling.cascade.predictions import Predictions
from efficient_empathy.labelling.cascade.settings import CascadeSettings, Method
from efficient_empathy.labelling.distillation.examples import read_examples
from efficient_empathy.labelling.distillation.quality import cross_calibrate, cross_fit, dependence_of
from efficient_empathy.labelling.distillation.settings import StudentSettings
from efficient_empathy.labelling.distillation.stage import default_base, write_tokenizer
from efficient_empathy.labelling.subsets import bind_rules
from efficient_empathy.scoring.record import ScoreRecord
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.scoring.stage import score
from efficient_empathy.selection.policies import load_policy

FOLDER = Path(os.environ.get("EMPATHY_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")
FOLDS = 5
PROMISE = CascadeSettings()
SUBSET = "sensibility"
SHARES = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)


def cross_fit_predictions(judgements: Path, cache: Path) -> tuple[Predictions, np.ndarray]:
    """The distilled judge's predictions on samples that it has not seen, and the expert's scores, (samples, 2)."""
    rubric, workspace = Rubric.load(), Workspace(cache / "run")
    console = Console(stderr=True)
    score(judgements, workspace, "replay", rubric, console=console)
    scoring = workspace.stage("score", ScoreRecord)
    assert scoring is not None
    examples = read_examples(workspace, scoring.panel.specs[0], rubric, FOLDS)
    base = default_base()
    write_tokenizer(base, cache / "tokenizer.json")
    settings = StudentSettings()
    tokens = PairTokenizer(cache / "tokenizer.json", settings.max_tokens)(examples.samples)

    def tell(what: str, step: int, steps: int, loss: float) -> None:
        if step % 100 == 0:
            console.print(f"{what}: {step} of {steps}, loss {loss:.3f}")

    logits, _ = cross_fit(base, tokens, examples, settings, FOLDS, cache / "folds", tell)
    p = cross_calibrate(logits, examples, rubric, FOLDS, 0)
    predictions = Predictions(
        [sample.id for sample in examples.samples],
        tuple(np.moveaxis(p, 1, 0)),
        dependence_of(p, examples.targets),
        bind_rules(load_policy("paper"), rubric),
        pl.DataFrame(),
    )
    return predictions, examples.scores.astype(np.float64)


def curve(predictions: Predictions, truth: np.ndarray, goal: Goal) -> list[tuple[float, float, float]]:
    """Calls saved, error and F1 where the least uncertain share is answered: no draw, no promise."""
    p = predictions.probabilities()
    labels, order = p.argmax(1), np.argsort(goal.uncertainty(p), kind="stable")
    points = []
    for share in SHARES:
        final = truth.copy()
        surest = order[: round(share * len(truth))]
        final[surest] = labels[surest]
        points.append((share, float((final != truth).mean()), f1_score(final, truth, 0)))
    return points


def one_order(
    predictions: Predictions,
    scores: np.ndarray,
    truth: np.ndarray,
    goal: Goal,
    *,
    error: float,
    seed: int,
    method: Method = "pac",
    rounds: int = 0,
    step: bool = False,
) -> tuple[float, float, float, float]:
    """Of one cascade the calls saved, the share of wrong labels, that of the distilled judge's own, and F1."""
    n, rng = len(truth), np.random.default_rng(seed)
    is_drawn, is_bought = np.zeros(n, bool), np.zeros(n, bool)
    plan = plan_cascade(predictions.probabilities(), goal, PROMISE.risk)
    if step:
        predictions, trial = take_step(predictions, scores, goal, plan.uncertain, rng)
        is_bought[trial] = True
        plan = plan_cascade(predictions.probabilities(), goal, PROMISE.risk, bought=is_bought)
    draw = rng.permutation(n)[: plan.calibration]
    is_drawn[draw] = True
    batch = int(BOUGHT * (plan.judgements - plan.calibration)) // max(1, rounds)
    for _ in range(rounds):
        is_bought[most_uncertain(goal.uncertainty(predictions.probabilities()), ~is_bought, batch)] = True
        lessons = np.flatnonzero(is_bought & ~is_drawn)
        predictions = predictions.refit(lessons, scores[lessons])
    p = predictions.probabilities()
    labels, uncertainty, is_judged = p.argmax(1), goal.uncertainty(p), is_drawn | is_bought
    while True:
        evidence = Evidence(p, np.where(is_judged, truth, -1), is_judged, draw, is_bought)
        is_answered = prove(goal, method, error, PROMISE.risk, evidence).cut.answers(uncertainty) & ~is_judged
        if (is_answered | is_judged).all():
            break
        is_judged |= ~is_answered
    final = np.where(is_answered, labels, truth)
    wrong = final != truth
    return is_answered.mean(), wrong.mean(), wrong.sum() / max(1, is_answered.sum()), f1_score(final, truth, 0)


def take_step(
    predictions: Predictions, scores: np.ndarray, goal: Goal, uncertain: int, rng: np.random.Generator
) -> tuple[Predictions, np.ndarray]:
    """What is known after a step that is off by a point or so was asked about what is `uncertain`; its trial."""
    uncertainty = goal.uncertainty(predictions.probabilities())
    places = np.sort(most_uncertain(uncertainty, np.ones(len(scores), bool), uncertain))
    noise = np.random.default_rng(99).normal(0, 1, scores.shape)
    answers = np.clip(np.rint(scores + noise), 0, 10)[places]
    trial = rng.permutation(places)[: PROMISE.trial]
    return predictions.informed(1, places, answers, trial, scores[trial]), trial


def row(
    name: str,
    orders: Sequence[tuple[float, float, float, float]],
    goal: Goal,
    error: float,
    method: Method = "pac",
    rounds: int = 0,
    step: bool = False,
) -> str:
    """One line of the table; last comes how many orders kept the promise; of conformal, the mean."""
    savings, realised, own, f1 = (np.array(column) for column in zip(*orders, strict=True))
    if method == "conformal":
        realised, share = own, f"mean {own.mean():.2%}"
    else:
        in_bounds = f1 >= goal.f1 if isinstance(goal, F1Goal) else realised <= error
        share = f"{in_bounds.mean():.1%}"
    low, high = np.quantile(savings, [0.05, 0.95])
    return (
        f"| {name} | {savings.mean():.1%} ({low:.1%} to {high:.1%}) | {realised.mean():.2%} | "
        f"{np.quantile(realised, 0.95):.2%} | {f1.mean():.3f} | {share} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    released = FOLDER / "chatgpt_judgements" / "valid.json.gz"
    parser.add_argument("--judgements", type=Path, default=released, help="judged JSON: context, response, evaluation")
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    if not options.judgements.exists():
        print(f"{options.judgements} is not here: set EMPATHY_SHARED_DATA to the data's folder, or pass --judgements")
        return
    with TemporaryDirectory() as folder:
        predictions, scores = cross_fit_predictions(options.judgements, options.cache or Path(folder))
    truth = predictions.labels_of(scores)
    p = predictions.probabilities()
    print(f"{len(truth):,} samples; most probable subset right: {(p.argmax(1) == truth).mean():.3f}\n")
    print("| calls saved, no guarantee | error | F1 of sensibility | error, surest of it | F1, surest of it |")
    print("|---|---|---|---|---|")
    both = zip(
        curve(predictions, truth, ErrorGoal(0.05)), curve(predictions, truth, F1Goal(0.95, 0, SUBSET)), strict=True
    )
    for (share, error, f1), (_, other_error, other_f1) in both:
        print(f"| {share:.0%} | {error:.2%} | {f1:.3f} | {other_error:.2%} | {other_f1:.3f} |")
    print(f"\n{options.orders} random orders, confidence {PROMISE.confidence:.0%}\n")
    print(
        "| promise | calls saved, mean (5–95 %) | realised error, mean | 95th percentile | F1 of sensibility | held |"
    )
    print("|---|---|---|---|---|---|")

    def show(name: str, goal: Goal, error: float = 0.05, **how: Any) -> None:
        orders = [
            one_order(predictions, scores, truth, goal, error=error, seed=seed, **how) for seed in range(options.orders)
        ]
        print(row(name, orders, goal, error, **how), flush=True)

    for error in (0.01, 0.02, 0.05, 0.1):
        show(f"error ≤ {error:.0%}", ErrorGoal(error), error=error)
    for error in (0.01, 0.02, 0.05, 0.1):
        show(f"conformal, own error ≤ {error:.0%} on average", ErrorGoal(error), error=error, method="conformal")
    for f1 in (0.95, 0.93, 0.9):
        show(f"F1 of sensibility ≥ {f1:g}", F1Goal(f1, 0, SUBSET))
    show("error ≤ 5%, 3 rounds of refitting", ErrorGoal(0.05), rounds=3)
    show("error ≤ 5%, a step between", ErrorGoal(0.05), step=True)
    show("F1 of sensibility ≥ 0.95, a step between", F1Goal(0.95, 0, SUBSET), step=True)


if __name__ == "__main__":
    main()
