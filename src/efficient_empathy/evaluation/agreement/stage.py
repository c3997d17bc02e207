"""The agreement of any number of raters: `agreement.json` and a page."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.evaluation.agreement.bias import biases
from efficient_empathy.evaluation.agreement.calibration import calibrations
from efficient_empathy.evaluation.agreement.ceiling import ceilings
from efficient_empathy.evaluation.agreement.page import page
from efficient_empathy.evaluation.agreement.pairs import all_together, pairs
from efficient_empathy.evaluation.agreement.panel import Panel, make_panel
from efficient_empathy.evaluation.agreement.rater import PROBABILITIES
from efficient_empathy.evaluation.agreement.reading import read_raters
from efficient_empathy.evaluation.agreement.repeats import repeatability
from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.evaluation.agreement.subsets import subsets
from efficient_empathy.foundation.run.workspace import atomic
from efficient_empathy.foundation.statistics.finite import finite


def measure_agreement(
    raters: Sequence[str] | Mapping[str, str | Path | pl.DataFrame],
    output: Path | str | None = None,
    settings: AgreementSettings | None = None,
) -> dict[str, Any]:
    """How far raters agree; with an `output` folder written there as `agreement.json` and `agreement.html`.

    `raters` are references (`reading.read_raters`), or names to paths and frames. Returns what the file has; what each
    part holds is said by the function that makes it (`pairs`, `all_together`, `ceilings`, `subsets`, `biases`,
    `calibrations`, `repeatability`). Undefined figures are None. Raises `UserError` for what cannot be compared.
    """
    settings = settings or AgreementSettings()
    began = time.perf_counter()
    panel = make_panel(read_raters(raters), settings)
    alone = len(panel.raters) == 1
    found: dict[str, Any] = finite(
        {
            "raters": [_rater(panel, i) for i in range(len(panel.raters))],
            "people": [panel.raters[i].name for i in panel.people],
            "items": len(panel.items),
            "dialogues": len(set(panel.clusters)),
            "axes": [{"name": axis.name, "scale": axis.scale} for axis in panel.axes],
            "pairs": [] if alone else pairs(panel, settings),
            "together": [] if alone else all_together(panel, settings),
            "ceiling": [] if alone else ceilings(panel, settings),
            "subsets": {} if alone else subsets(panel, settings),
            "bias": [] if alone else biases(panel, settings),
            "calibration": [] if alone else calibrations(panel, settings),
            "repeats": repeatability(panel, settings),
            "notes": panel.notes,
            "settings": settings.model_dump(),
        }
    )
    found["seconds"] = round(time.perf_counter() - began, 2)
    if output is None:
        return found
    files = {"json": Path(output) / "agreement.json", "html": Path(output) / "agreement.html"}
    found["output"] = {kind: str(path) for kind, path in files.items()}
    with atomic(files["json"]) as path:
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    with atomic(files["html"]) as path:
        path.write_text(page(found), "utf-8", "replace")
    return found


def _rater(panel: Panel, place: int) -> dict[str, Any]:
    rater = panel.raters[place]
    return {
        "name": rater.name,
        "kind": "person" if place in panel.people else "judge",
        "source": rater.source,
        "rounds": len(rater.rounds()),
        "items": {axis.name: int((~np.isnan(axis.scores[:, place])).sum()) for axis in panel.axes},
        "failed": dict(rater.failed),
        "distributions": any(column.endswith(PROBABILITIES) for column in rater.scores.columns),
    }
