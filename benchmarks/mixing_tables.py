"""The table of `mixing`: every way of mixing on the same held-out samples, beside the average and the label oracle."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.mixing import FACTORS, TIES_WEIGHTS, Rows, losses_path, merge_name, ties_name
from benchmarks.mixing_routers import choose, choose_one, context_features, folds, kind_scores
from benchmarks.paper_arm_rows import EXPERTS
from benchmarks.paper_tables import markdown, spread
from efficient_empathy.foundation.statistics.resampling import dialogue_draws

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
DRAWS = 2000
FAR = 3
"""Times the way from the average to the oracle: what lies further gets no percentage."""
KINDS = ("all", *EXPERTS)
AVERAGE, ORACLE = "average", "oracle"
ONE, MOE = "one model", "a mixture, both experts for each token"
REQUEST = "adapters by name, the encoder once a request"
FIVE = "one of five models, the encoder once a request"
REPLY = "needs the reply"
MEASURED = {
    "base": ("the base", ONE),
    merge_name(1, 0): ("sensibility's expert alone", ONE),
    merge_name(0, 1): ("rationality's expert alone", ONE),
    "union": ("one adapter of rank 32 on both", ONE),
    **{merge_name(each, each): (f"task arithmetic, factor {each:g}", ONE) for each in FACTORS},
    "ties": ("TIES, a fifth kept, factor 1", ONE),
    **{ties_name(each): (f"TIES, weights {each:g} and {1 - each:g}", ONE) for each in TIES_WEIGHTS},
    "dare": ("DARE, nine tenths dropped, average", ONE),
    "dare_sum": ("DARE, nine tenths dropped, sum", ONE),
    "moe": ("token routers, as by default", MOE),
    "moe_long": ("token routers, better start, 1e-2", MOE),
}
"""What each kept measurement is, and what it takes to serve it."""
LAMBDAS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the merges λ · sensibility + (1 − λ) · rationality."""


@dataclass(frozen=True)
class Held:
    """The held-out samples that every measurement has, and what routers know of them."""

    rows: pl.DataFrame
    tokens: Floats
    fold: Places
    features: dict[str, Floats]

    @property
    def is_likely(self) -> npt.NDArray[np.bool_]:
        """Whether the context is among the half that is likelier to get sensibility's reply."""
        likelihood = self.features["kind"][:, 0]
        return np.asarray(likelihood > np.median(likelihood))

    @property
    def is_first(self) -> npt.NDArray[np.bool_]:
        """Whether the judge, who reads the response, calls it sensibility's."""
        return (self.rows["subset"] == EXPERTS[0]).to_numpy()


def tables(work: Path) -> str:
    """The Markdown of what is there."""
    there: dict[str, list[int]] = {}
    for path in sorted((work / "losses").glob("*.parquet")):
        name, _, seed = path.stem.rpartition("-")
        there.setdefault(name, []).append(int(seed))
    if not all(name in there for name in (merge_name(0.5, 0.5), merge_name(1, 0), merge_name(0, 1))):
        return "No seed has both experts and their average yet."
    held = held_of(work, there)
    ways, chosen = ways_of(work, there, held)
    counts = {kind: int((held.rows["subset"] == kind).sum()) for kind in EXPERTS}
    head = f"{len(held.rows)} held-out references of {held.rows['dialogue_id'].n_unique()} dialogues: "
    head += ", ".join(f"{count} {kind}" for kind, count in counts.items()) + f"; {int(held.tokens.sum()):,} tokens. "
    right = float((held.is_likely == held.is_first).mean())
    head += f"The encoder tells the kind of the reply by its context in {right:.0%} of them (chance: 50 %)."
    return "\n\n".join([head, loss_table(ways, held), chosen_table(chosen), cost_table(work, there)])


def held_of(work: Path, there: Mapping[str, Sequence[int]]) -> Held:
    """The rows in the order of the measurements, with the encoder's view of their contexts, kept in WORK."""
    name = merge_name(0.5, 0.5)
    first = pl.read_parquet(losses_path(work, name, there[name][0]))
    options = json.loads((work / "options.json").read_text("utf-8"))
    parts = Rows.of(work, options["held_out"])
    rows = first.join(parts.held_out, on="sample_id", how="left", maintain_order="left")
    path = work / f"features-{len(rows)}-{options['labels']}.npz"
    if not path.exists():
        labelled = parts.labelled(options["labels"])
        x, known = context_features(rows), context_features(labelled)
        kinds = kind_scores(known, (labelled["subset"] == EXPERTS[0]).to_numpy(), x)
        np.savez(path, context=x, kind=kinds)
    kept = np.load(path)
    features = {"context": kept["context"], "kind": kept["kind"][:, None]}
    return Held(rows, first["tokens"].to_numpy().astype(np.float64), folds(rows["dialogue_id"]), features)


@dataclass(frozen=True)
class Way:
    """One way of mixing: summed nats of each held-out sample, for each of its seeds."""

    label: str
    cost: str
    nll: dict[int, Floats]


def ways_of(work: Path, there: Mapping[str, Sequence[int]], held: Held) -> tuple[dict[str, Way], dict[str, list[str]]]:
    """Every way there is, and how routers chose in each seed."""

    def nll(name: str, seed: int) -> Floats:
        return pl.read_parquet(losses_path(work, name, seed))["nll"].to_numpy()

    measured = {name: {seed: nll(name, seed) for seed in seeds} for name, seeds in there.items()}
    ways = {AVERAGE: Way("the average", ONE, measured[merge_name(0.5, 0.5)])}
    ways |= {name: Way(*text, measured[name]) for name, text in MEASURED.items() if name in measured}
    chosen: dict[str, list[str]] = {}
    names = [merge_name(each, 1 - each) for each in LAMBDAS]
    lines = stacks(measured, names)
    for key, (label, cost, choice) in choices(held).items() if lines else ():
        places = {seed: choice(losses) for seed, losses in lines.items()}
        ways[key] = Way(label, cost, {seed: taken(lines[seed], own) for seed, own in places.items()})
        means = [[np.asarray(LAMBDAS)[own[kind]].mean() for kind in (held.is_first, ~held.is_first)]
                 for own in places.values()]  # fmt: skip
        chosen[label] = [f"{first:.2f} / {second:.2f}" for first, second in means]
    ties_names = [names[0], *(ties_name(each) for each in LAMBDAS[1:-1]), names[-1]]
    for key, (label, _, choice) in choices(held).items() if (ties_lines := stacks(measured, ties_names)) else ():
        if key in ("kind", "context", "both"):
            nll_of = {seed: taken(losses, choice(losses)) for seed, losses in ties_lines.items()}
            ways[f"ties {key}"] = Way(label.replace("λ", "TIES, its weights"), FIVE, nll_of)
    if factors := stacks(measured, [merge_name(each, each) for each in (0.5, *FACTORS)]):
        fitted = {seed: taken(losses, choose_one(losses, held.fold)) for seed, losses in factors.items()}
        ways["fitted"] = Way("task arithmetic, its factor fitted", ONE, fitted)
    return ways, chosen


def stacks(measured: Mapping[str, Mapping[int, Floats]], names: Sequence[str]) -> dict[int, Floats]:
    """The losses of several models side by side, (samples × models), of the seeds that have all of them."""
    seeds = [seed for seed in measured[names[0]] if all(seed in measured.get(name, ()) for name in names)]
    return {seed: np.stack([measured[name][seed] for name in names], 1) for seed in seeds}


def taken(losses: Floats, places: Places) -> Floats:
    """Of each sample the loss at its place."""
    own: Floats = losses[np.arange(len(losses)), places]
    return own


def choices(held: Held) -> dict[str, tuple[str, str, Callable[[Floats], Places]]]:
    """How λ can be chosen, from the losses of all `LAMBDAS`: a label, the cost, and the choice."""
    last = len(LAMBDAS) - 1

    def by(features: Floats) -> Callable[[Floats], Places]:
        return lambda losses: choose(features, losses, held.tokens, LAMBDAS, held.fold)

    both = np.hstack([held.features["context"], held.features["kind"]])
    return {
        "one": ("the best λ for all", ONE, lambda losses: choose_one(losses, held.fold)),
        "hard": ("router per request: the expert of the likelier kind", REQUEST,
                 lambda losses: np.where(held.is_likely, last, 0)),
        "kind": ("router per request: λ by how likely the kind is", REQUEST, by(held.features["kind"])),
        "context": ("router per request: λ by the encoded context", REQUEST, by(held.features["context"])),
        "both": ("router per request: λ by both", REQUEST, by(both)),
        "label": ("label oracle: the expert of the kind", REPLY, lambda losses: np.where(held.is_first, last, 0)),
        ORACLE: ("label oracle: λ by the kind", REPLY, by(held.is_first[:, None].astype(np.float64))),
        "limit": ("the best λ of each sample", REPLY, lambda losses: losses.argmin(1)),
    }  # fmt: skip


def loss_table(ways: Mapping[str, Way], held: Held) -> str:
    """Losses, differences to the average, and how much of the way to the oracle they are."""
    weights = dialogue_draws(held.rows["dialogue_id"].to_list(), DRAWS, 0)
    masks = {"all": np.ones(len(held.rows), bool), EXPERTS[0]: held.is_first, EXPERTS[1]: ~held.is_first}

    def mean(values: Floats, kind: str, draws: Floats | None = None) -> Floats:
        own = np.ones((1, len(values))) if draws is None else draws
        result: Floats = own @ (values * masks[kind]) / (own @ (held.tokens * masks[kind]))
        return result

    rows = []
    for key, way in ways.items():
        cells = [spread([float(mean(own, kind)[0]) for own in way.nll.values()], 4) for kind in KINDS]
        seeds = [seed for seed in way.nll if seed in ways[AVERAGE].nll]
        average, own = (np.mean([each.nll[seed] for seed in seeds], 0) for each in (ways[AVERAGE], way))
        if key == AVERAGE:
            rows.append([way.label, f"{len(way.nll)}", *cells, "", "0 %", way.cost])
            continue
        gain = mean(own - average, "all", weights)
        low, high = np.quantile(gain, [0.025, 0.975])
        difference = f"{mean(own - average, 'all')[0]:+.4f} ({low:+.4f} to {high:+.4f})".replace("-", "−")
        rows.append(
            [way.label, f"{len(way.nll)}", *cells, difference, share(ways, key, seeds, mean, weights), way.cost]
        )
    head = ["", "seeds", *KINDS, "difference to the average (95 %)", "of the way to the oracle", "cost"]
    return markdown(head, rows)


def share(ways: Mapping[str, Way], key: str, seeds: Sequence[int], mean: Callable[..., Floats], weights: Floats) -> str:
    """How much of the way from the average to the label oracle, on the seeds that have all three."""
    seeds = [seed for seed in seeds if ORACLE in ways and seed in ways[ORACLE].nll]
    if not seeds:
        return "–"
    average, own, oracle = (np.mean([ways[name].nll[seed] for seed in seeds], 0) for name in (AVERAGE, key, ORACLE))
    whole, part = mean(average - oracle, "all", weights), mean(average - own, "all", weights)
    value = float(mean(average - own, "all")[0] / mean(average - oracle, "all")[0])
    low, high = np.quantile(part / whole, [0.025, 0.975])
    if abs(value) > FAR:
        return "far behind" if value < 0 else "far beyond"
    return f"{value:.0%} ({low:.0%} to {high:.0%})".replace("-", "−")


def chosen_table(chosen: Mapping[str, Sequence[str]]) -> str:
    """The mean λ that samples of each kind got."""
    rows = [[label, "; ".join(own)] for label, own in chosen.items()]
    return markdown(["mean λ of sensibility's / of rationality's samples, each seed", ""], rows)


def cost_table(work: Path, there: Mapping[str, Sequence[int]]) -> str:
    """What was trained."""
    rows = []
    for name in (*EXPERTS, "union", "moe", "moe_long"):
        paths = sorted((work / "about").glob(f"{name}-*.json"))
        about = [each for path in paths if "steps" in (each := json.loads(path.read_text("utf-8")))]
        if about:
            rows.append([name, f"{len(about)}", *(
                f"{statistics.mean(figures):,.0f}" for figures in zip(*(
                    (each["samples"], each["steps"], each["tokens"]["response"], each["cpu_seconds"]) for each in about
                ), strict=True)
            )])  # fmt: skip
    return markdown(["trained", "seeds", "samples", "steps", "response tokens", "CPU seconds"], rows)
