"""Efficient-Empathy: turn a pile of dialogues into a better empathetic model on a fraction of the data.

import efficient_empathy as ee

samples = ee.read("dialogues.jsonl")                    # a polars frame
scores = ee.score("dialogues.jsonl", "runs/mine")       # a polars frame, one row a sample
record = ee.cascade("d.jsonl", "runs/b", error=0.05)    # a dict: plan, guarantee, check; the scores are the run's
new = ee.predict("tonight.jsonl")                       # a polars frame: P(sensibility), P(rationality), P(discard)
subsets = ee.select("runs/mine", alpha=5, beta=5)       # a polars frame: subset and reason of each sample
made = ee.synthesize("runs/mine", "base", samples=50)   # a polars frame: every candidate, kept or why not
expert = ee.train_expert("runs/mine", "sensibility")    # its folder (extra `train`)
models = ee.mix("runs/mine")                            # a polars frame: losses of experts, average and mixture
responses = ee.generate("runs/mine", "moe")             # a polars frame
figures = ee.evaluate("runs/mine")                      # a polars frame: every figure with its interval (extra `eval`)
cells = ee.sweep("runs/mine")                           # a polars frame: what other thresholds would select
thresholds = ee.tune("runs/mine", "share=0.6")          # {"alpha": …, "beta": …}
page = ee.write_report("runs/mine")                     # the path of the report
problems = ee.check("runs/mine").problems               # what is not as its stage wrote it, and what to run
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
"""onnxruntime's official builds tell Microsoft how they are used, unless this is set before it is imported."""

if TYPE_CHECKING:
    from efficient_empathy.api import (
        analyse,
        cascade,
        check,
        correct,
        corrections,
        evaluate,
        evaluate_files,
        generate,
        inspect_source,
        mix,
        predict,
        push,
        read,
        refresh,
        run_recipe,
        score,
        select,
        sweep,
        synthesize,
        train_expert,
        tune,
        withdraw_corrections,
        write_report,
    )
    from efficient_empathy.evaluation.agreement import AgreementSettings, measure_agreement

__all__ = [
    "AgreementSettings",
    "analyse",
    "cascade",
    "check",
    "correct",
    "corrections",
    "evaluate",
    "evaluate_files",
    "generate",
    "inspect_source",
    "measure_agreement",
    "mix",
    "predict",
    "push",
    "read",
    "refresh",
    "run_recipe",
    "score",
    "select",
    "sweep",
    "synthesize",
    "train_expert",
    "tune",
    "withdraw_corrections",
    "write_report",
]

__getattr__ = exports(
    __name__,
    dict.fromkeys(__all__, "api")
    | {
        "AgreementSettings": "evaluation.agreement",
        "measure_agreement": "evaluation.agreement",
    },
)
