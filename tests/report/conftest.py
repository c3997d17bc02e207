"""Runs with known scores, made without a judge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from browser import Visit
from efficient_empathy.foundation.run.workspace import Workspace
from scored_runs import numbered, write_run


@pytest.fixture
def whole_run(tmp_path: Path) -> Workspace:
    """600 samples in four categories, whole scores from the full grid, seven of them without."""
    rng = np.random.default_rng(1)
    n = 600
    samples = [numbered(i, ["joyful", "sad", "", None][i % 4]) for i in range(n)]
    states = ["parse_error"] * 4 + ["api_error"] * 2 + ["refused"] + ["ok"] * (n - 7)
    values = {
        axis: [float(v) if s == "ok" else None for v, s in zip(rng.integers(0, 11, n), states, strict=True)]
        for axis in ("sensibility", "rationality")
    }
    reasons = ["no value for sensibility"] * 3 + ["rationality is 'high', not a whole number"] + ["HTTP 503"] * 2
    raws = ["I would rather not <say>"] * 7 + [f"- Sensibility: {i}" for i in range(n - 7)]
    reasons += ["no value for sensibility"] + [""] * (n - 7)
    return write_run(tmp_path / "whole", samples, values, states=states, raws=raws, reasons=reasons)


@pytest.fixture
def probability_run(tmp_path: Path) -> Workspace:
    """400 samples whose judge gives distributions."""
    rng = np.random.default_rng(2)
    tables = {axis: rng.dirichlet(np.ones(11), 400).astype(np.float32) for axis in ("sensibility", "rationality")}
    scores = {axis: (table @ np.arange(11)).tolist() for axis, table in tables.items()}
    samples = [numbered(i, f"category {i % 50}") for i in range(400)]
    return write_run(tmp_path / "odds", samples, scores, probabilities=tables)


@pytest.fixture
def lowest_contrast() -> Callable[[Visit], float]:
    """The lowest contrast of any text with what is behind it; numbers in shaded cells are the palette's affair."""
    return lambda seen: float(seen.page.evaluate(LOWEST_CONTRAST))


LOWEST_CONTRAST = """() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => parse(c).slice(0, 3).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if ((parse(c)[3] ?? 1) === 1) return c } };
  let lowest = 21;
  for (const e of document.querySelectorAll("body *:not(svg, svg *, style)")) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const [low, high] = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => a - b);
    lowest = Math.min(lowest, (high + .05) / (low + .05));
  }
  for (const e of document.querySelectorAll("svg text:not(.map *, .on-shade)")) {
    const [low, high] = [light(getComputedStyle(e).fill), light(behind(e))].sort((a, b) => a - b);
    lowest = Math.min(lowest, (high + .05) / (low + .05));
  }
  return lowest }"""
