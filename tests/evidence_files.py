"""What evaluation, sweeps, tuning and ratings leave in a run's folder, made without a model or a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from efficient_empathy.evaluation.ratings.record import RatingsRecord
from efficient_empathy.evaluation.record import EvaluationRecord
from efficient_empathy.evaluation.robustness.records import SweepRecord, TuningRecord
from efficient_empathy.foundation.run.workspace import Workspace
from trained_runs import MODELS, write_json

FIGURES: dict[str, dict[str, Any]] = {
    "perplexity": {"group": "perplexity", "better": "lower", "about": "exp of the mean loss a token", "digits": 2},
    "perplexity_word": {"group": "perplexity", "better": "lower", "about": "the same a word", "digits": 1},
    "bleu1": {"group": "official", "better": "higher", "about": "unigram precision, in percent", "digits": 2},
    "bleu4": {"group": "official", "better": "higher", "about": "up to four words, in percent", "digits": 2},
    "rougeL": {"group": "official", "better": "higher", "about": "longest common subsequence", "digits": 2},
    "dist2": {"group": "official", "better": "higher", "about": "distinct pairs of words, in percent", "digits": 2},
    "cf1": {"group": "official", "better": "higher", "about": "F1 of words over the corpus", "digits": 2},
    "length": {"group": "texts", "better": "neither", "about": "mean words", "digits": 1},
}
CENTRES = {"perplexity": 32, "perplexity_word": 48, "bleu1": 14, "bleu4": 2.1, "rougeL": 15, "dist2": 9, "cf1": 17}
COSTS = {"sensibility": 0.31, "rationality": 0.28, "union": 0.59, "average": 0.59, "moe_untrained": 0.59, "moe": 0.59}
TALKS = {
    "speaker": "My bicycle was stolen from the yard, and I saved for it for a year.",
    "listener": "A whole year of saving, and then it is gone overnight.",
}


def write_evaluation(workspace: Workspace, *, models: dict[str, str] | None = None, **changed: object) -> Path:
    """`evaluation.json`: every model a little better than the one before, half of the tests significant."""
    rng = np.random.default_rng(4)
    found = []
    for place, (name, label) in enumerate((models or MODELS).items()):
        values = {}
        for figure, about in FIGURES.items():
            step = {"lower": -0.03, "higher": 0.04, "neither": 0.01}[about["better"]]
            values[figure] = CENTRES.get(figure, 12) * (1 + step * place + float(rng.normal(0, 0.01)))
        share = COSTS.get(name, 1.0) if place else 0.0
        spent = {"tokens": 4e5 * share, "seconds": 300 * share, "flops": 9e12 * share} if place else None
        intervals = {figure: [value * 0.96, value * 1.05] for figure, value in values.items()}
        found.append(
            {"name": name, "label": label, "n": 480, "values": values, "intervals": intervals,
             "share_of_data": share, "training": spent}
        )  # fmt: skip
    first, *others = found
    tests = [
        {"model": model["name"], "metric": figure, "difference": model["values"][figure] - first["values"][figure],
         "interval": [-0.4, 1.9], "p": 0.004 * (i + 1), "p_holm": min(1.0, 0.012 * (i + 1))}
        for i, model in enumerate(others) for figure, about in FIGURES.items() if about["better"] != "neither"
    ]  # fmt: skip
    context = [{"role": "speaker" if i % 2 == 0 else "listener", "text": t} for i, t in enumerate(TALKS.values())]
    examples = [
        {"sample_id": f"{i:064d}", "context": [*context, {"role": "speaker", "text": f"The police said {i} weeks."}],
         "reference": "That is a long time to wait. Did it have a number engraved?",
         "responses": {m["name"]: f"{m['label']} is so sorry to hear that!" for m in found},
         "why": "word overlap with the reference: MoE 0.62, Base 0.05"}
        for i in range(2)
    ]  # fmt: skip
    record = {
        "version": EvaluationRecord.VERSION, "n": 480, "part": "held_out", "dialogues": 211, "baseline": first["name"],
        "resamples": 1000, "seed": 0,
        "confidence": 0.95, "metrics": FIGURES,
        "about": {"official": {"splitter": "built in", "versions": {"nltk": "3.9", "rouge-score": "0.1"}},
                  "perplexity": {"tokens": "of the response alone"}, "texts": {}},
        "models": found, "tests": tests, "examples": examples, "notes": [],
    }  # fmt: skip
    return write_json(workspace.evaluation, record | changed)


def write_models(path: Path, models: Sequence[dict[str, Any]], **changed: object) -> Path:
    """An `evaluation.json` of these models alone."""
    record = {
        "version": EvaluationRecord.VERSION, "n": 10, "dialogues": 10, "baseline": models[0]["name"], "resamples": 0,
        "metrics": {}, "about": {}, "models": [{"n": 10, **model} for model in models],
    }  # fmt: skip
    return write_json(path, record | changed)


def write_sweep(
    workspace: Workspace,
    *,
    levels: Sequence[float] = (3, 4, 5, 6, 7),
    policies: Sequence[str] = ("paper",),
    trained: bool = False,
    thresholds: Mapping[str, float] | None = None,
    **changed: object,
) -> Path:
    """`sweep/sweep.json`: the higher the thresholds the less is kept; losses are lowest near the default."""
    categories = {"afraid": 180, "grateful": 240, "lonely": 160, "proud": 20}
    own = thresholds or {"alpha": 5, "beta": 5}
    axes = dict(zip(own, (("sensibility",), ("rationality",), ("candour",)), strict=False))
    cells = []
    for policy, *values in product(policies, *(levels for _ in own)):
        far = sum(abs(value - own[name]) for name, value in zip(own, values, strict=True))
        high = sum(values) - sum(own.values())
        kept = 0.92 - 0.004 * high * abs(high) - 0.05 * (policy != "paper")
        kept = min(0.998, max(0.04, kept))
        cell: dict[str, Any] = {
            "policy": policy, "thresholds": dict(zip(own, values, strict=True)),
            "subsets": {"sensibility": round(400 * kept), "rationality": round(200 * kept),
                        "discard": 600 - round(400 * kept) - round(200 * kept)},
            "kept_share": kept, "kept_jaccard": 1 - 0.06 * far,
            "jaccard": {"sensibility": 1 - 0.08 * far, "rationality": 1 - 0.05 * far, "discard": max(0, 1 - 0.2 * far)},
            "categories": {name: {"sensibility": round(n * kept * 0.7), "rationality": round(n * kept * 0.3),
                                  "discard": n - round(n * kept * 0.7) - round(n * kept * 0.3)}
                           for name, n in categories.items()},
        }  # fmt: skip
        if trained:
            cell["model"] = reached(3.17 + 0.002 * far**2)
        cells.append(cell)
    baselines = [
        {"name": name, **reached(loss)}
        for name, loss in {"all": 3.14, "discard": 3.4, "random (seed 1)": 3.19, "random (seed 2)": 3.2}.items()
    ]
    models = {
        "order": [], "best": "paper α 5 β 5", "best_in_draws": 0.42, "better_than": {"random": 9, "default": 0},
        "cells": len(cells), "range": {"cells": [3.17, 3.202], "random": [3.19, 3.2]},
    }  # fmt: skip
    lowest = {"union": {"policy": "paper", "thresholds": dict.fromkeys(own, 7), "spearman": 0.8, "kendall": 0.67}}
    training = {
        "subset": "union", "base": "tiny", "distinct_models": len(cells), "settings": {},
        "held_out": {"samples": 48, "dialogues": 24, "subsets": {"all": 48}},
        "figures": {"loss": {"better": "lower", "about": "nats", "digits": 4},
                    "bleu4": {"better": "higher", "about": "", "digits": 2}},
    }  # fmt: skip
    record = {
        "policies": [{"name": policy, "thresholds": own, "grid": dict.fromkeys(own, levels), "axes": axes,
                      "subsets": ["sensibility", "rationality", "discard"], "otherwise": "discard"}
                     for policy in policies],
        "decided_on": "whole scores", "samples": 600, "unscored": 0, "categories": list(categories), "cells": cells,
        "baselines": baselines if trained else [], "training": training if trained else None,
        "rank_stability": {"measure": "…", "cells": [], "lowest": lowest, "models": models if trained else None},
    }  # fmt: skip
    path = workspace.sweep / "sweep.json"
    SweepRecord.model_validate(record | changed).write(path)
    return path


def reached(loss: float) -> dict[str, Any]:
    """What a model trained in a sweep is said to have reached."""
    return {
        "key": "0123456789abcdef", "samples": 300, "steps": 20, "flops": 1e12, "interval": [loss - 0.1, loss + 0.1],
        "values": {"loss": loss, "bleu4": 12 - loss}, "tokens": {"response": 4e4, "all": 1e5}, "seconds": 9.0,
        "against": {"default": {"value": loss - 3.17, "low": loss - 3.175, "high": loss - 3.165}},
        "subset_losses": {"sensibility": loss - 0.1, "discard": loss + 0.3, "all": loss},
    }  # fmt: skip


def write_tuning(
    workspace: Workspace,
    *,
    choice: Mapping[str, float] | None = None,
    default: Mapping[str, float] | None = None,
    **changed: object,
) -> Path:
    """`tuning/tuning.json` and the recipe fragment: a choice that is no better than the default."""
    levels = range(3, 8)
    choice, default = choice or {"alpha": 4, "beta": 6}, default or {"alpha": 5, "beta": 5}
    near = {**choice, next(iter(choice)): 5}
    record = {
        "target": {"kind": "balance", "subset": "union"}, "policy": "paper", "decided_on": "whole scores",
        "axes": {name: ["sensibility"] for name in choice}, "choice": choice, "default": default,
        "choice_on_all": 0.008, "default_on_all": 0.0094, "subsets": {"sensibility": 300, "discard": 300},
        "folds": [{"thresholds": choice, "value": 0.0081 + 0.001 * i, "default_value": 0.009} for i in range(4)]
        + [{"thresholds": near, "value": 0.0079, "default_value": 0.0088}],
        "value": 0.0082, "spread": 0.0016, "default_value": 0.00895,
        "difference": {"value": -0.00075, "low": -0.0021, "high": 0.0006}, "better_than_default": False,
        "cells": [{"thresholds": dict(zip(choice, values, strict=True)),
                   "value": 0.008 + 0.0007 * sum(abs(v - c) for v, c in zip(values, choice.values(), strict=True))}
                  for values in product(levels, repeat=len(choice))],
        "text": "For balance α = 4, β = 6 is choice, but it is no better than the default.",
    }  # fmt: skip
    path = workspace.tuning / "tuning.json"
    TuningRecord.model_validate(record | changed).write(path)
    path.with_name("select.yaml").write_text("select:\n  alpha: 4\n", "utf-8")
    return path


def write_ratings(
    workspace: Workspace, *, models: Sequence[str] = ("base", "union", "moe"), study: str = "main", **changed: object
) -> Path:
    """`ratings/main/results.json`: two raters on four dimensions, every pair compared."""
    agreement = {
        "fleiss_kappa": 0.21, "weighted_kappa": 0.48, "alpha_nominal": 0.2, "alpha_ordinal": 0.55,
        "alpha_interval": 0.53, "intervals": {"fleiss_kappa": [0.1, 0.31], "weighted_kappa": [None, None]},
        "items": 60, "raters": 2, "notes": [],
    }  # fmt: skip
    likert = {
        dimension: {
            "text": f"How much {dimension} does it have?", "scale": [1, 5],
            "models": [{"name": m, "mean": 2.9 + 0.4 * i + 0.1 * k, "interval": [2.7 + 0.4 * i, 3.3 + 0.4 * i], "n": 9}
                       for i, m in enumerate(models)],
            "agreement": agreement,
        }
        for k, dimension in enumerate(("coherence", "empathy", "informativeness", "continuity"))
    }  # fmt: skip
    pairs = [(a, b) for i, a in enumerate(models) for b in models[i + 1 :]]
    ab = [
        {"question": "overall", "a": a, "b": b, "win": 12 + i, "tie": 9, "lose": 39 - i, "identical": 0, "share": 0.275,
         "interval": [0.17, 0.38], "p": 0.0002, "p_holm": 0.0006}
        for i, (a, b) in enumerate(pairs)
    ]  # fmt: skip
    record = {
        "version": RatingsRecord.VERSION, "study": study, "sheets": ["anna.xlsx", "ben.xlsx"],
        "raters": [{"name": "anna", "rated_items": 60, "item_count": 60, "self_consistency": 0.8},
                   {"name": "ben", "rated_items": 31, "item_count": 60, "self_consistency": None}],
        "samples": 50, "likert": likert, "ab": ab, "ab_agreement": {"overall": agreement},
        "ranking": [{"question": "overall", "name": m, "strength": i - 1, "interval": [i - 1.4, i - 0.5]}
                    for i, m in enumerate(models)],
        "problems": ["ben left 29 of 60 items without an answer"], "confidence": 0.95,
    }  # fmt: skip
    return write_json(workspace.ratings / study / "results.json", record | changed)


def write_evidence(workspace: Workspace) -> Workspace:
    """All four, with a sweep that trained."""
    write_evaluation(workspace)
    write_sweep(workspace, trained=True)
    write_tuning(workspace)
    write_ratings(workspace)
    return workspace
