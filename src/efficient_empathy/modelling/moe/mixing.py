"""What one mixing starts from: the experts of a run, the keys of its results, and the samples for each step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, shell
from efficient_empathy.foundation.guard import Bounds, needs_of
from efficient_empathy.foundation.permissions import require
from efficient_empathy.foundation.run.table import UNSCORED, RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.bases import base_at, require_base
from efficient_empathy.modelling.moe.compare import Contender
from efficient_empathy.modelling.moe.record import AVERAGE, BASE, LABELS, MIXED, TIES, UNTRAINED, mixture_label
from efficient_empathy.modelling.moe.settings import MixSettings
from efficient_empathy.modelling.moe.tensors import STORED_AS, TORCH_NAMES
from efficient_empathy.modelling.training.examples import EncodedSample, choose, choose_part, conversational, encode
from efficient_empathy.modelling.training.models import is_adapter, is_bundled, resolve, stored_dtype
from efficient_empathy.modelling.training.record import ALL, GROUPS, RANDOM, UNION, TrainingRecord, read_trainings
from efficient_empathy.modelling.training.settings import TrainingSettings

_MUST_AGREE = ("template", "held_out", "hold_back", "seed", "max_length")
"""What experts must have been trained alike in: else one has seen what is held out for another."""
_COMPARISON_NAMES = {BASE, AVERAGE, TIES, MIXED, UNTRAINED}


@dataclass(frozen=True)
class Expert:
    """A trained model of the run."""

    name: str
    path: Path
    training: TrainingRecord

    @property
    def subset(self) -> str:
        """The subset that it was trained on."""
        return self.training.subset


def list_experts(workspace: Workspace) -> list[Expert]:
    """The run's trained models, by name. Raises `UserError` for a training.json that is none."""
    return [
        Expert(name, workspace.experts / name, record) for name, record in read_trainings(workspace.experts).items()
    ]


def choose_experts(table: RunTable, names: Sequence[str] | None) -> list[Expert]:
    """The experts to mix: those in `names`, else every one that was trained on a subset which the policy selected.

    Raises `UserError` for a name that there is not, and for fewer than two.
    """
    workspace = table.workspace
    left_out = (*GROUPS, *([table.selecting.otherwise] if table.selecting else []), UNSCORED)
    by_name = {expert.name: expert for expert in list_experts(workspace)}
    if unknown := [name for name in names or () if name not in by_name]:
        has = f"the run has {', '.join(by_name)}" if by_name else "the run has none"
        raise UserError(f"there is no expert {unknown[0]!r} in {workspace.experts} ({has}): train it first")
    experts = [by_name[name] for name in names] if names else [
        expert for expert in by_name.values() if expert.subset not in left_out
    ]  # fmt: skip
    if not names and (gone := _gone(workspace, by_name, left_out)):
        raise UserError(
            f"{workspace.experts / gone[0]} is missing: run `efficient-empathy train --run {shell(workspace.root)} "
            f"--subset {gone[0]}` again, or name the experts to mix with --expert"
        )
    if clashes := [expert.name for expert in experts if expert.name in _COMPARISON_NAMES]:
        raise UserError(
            f"an expert to be mixed cannot be called {clashes[0]}, which the comparison needs: train it with --name"
        )
    if len(experts) < 2:
        has = f"there is only {experts[0].name}" if experts else "there is none"
        raise UserError(
            f"mixing takes two or more experts, and {has} in {workspace.experts}: "
            f"run `efficient-empathy train --run {shell(workspace.root)} --subset …` for each subset first"
        )
    return experts


def _gone(workspace: Workspace, experts: Collection[str], left_out: Collection[str]) -> list[str]:
    """The experts that the manifest knows, and that would be mixed if they were there still."""
    stages = workspace.manifest().stages
    trained = {stage.partition(":")[2]: entry for stage, entry in stages.items() if stage.startswith("train:")}
    return [name for name, entry in trained.items() if name not in experts and entry.get("subset") not in left_out]


def common_settings(experts: Sequence[Expert], training: TrainingSettings | None = None) -> TrainingSettings:
    """The settings that the experts were trained with, or `training` but for what decides which sample is held out.

    Raises `UserError` where the experts differ in that.
    """
    first = experts[0]
    for other in experts[1:]:
        for key in _MUST_AGREE:
            mine, theirs = (getattr(expert.training.settings, key) for expert in (first, other))
            if mine != theirs:
                raise UserError(
                    f"{first.name} was trained with {key} {mine}, {other.name} with {theirs}: "
                    "what is held out for one was seen by the other; train one of them again"
                )
    settings = first.training.settings
    needs = needs_of(TrainingSettings, {"template": settings.template}, Bounds((first.path.parent.parent.resolve(),)))
    require(f"{first.path}, as it was trained,", needs)
    return training.model_copy(update={key: getattr(settings, key) for key in _MUST_AGREE}) if training else settings


def base_of(experts: Sequence[Expert]) -> Path | str:
    """The base that the experts were trained from. Raises `UserError` where it is not there any more."""
    first = experts[0]
    run = first.path.parent.parent
    base = base_at(first.training.base, run)
    require_base(base, first.path, run, bundled=is_bundled(base))
    return resolve(base)


def union_model(workspace: Workspace) -> Expert | None:
    """The model that was trained on all kept subsets together, None where there is none."""
    return next((expert for expert in list_experts(workspace) if expert.subset == UNION), None)


_COMPOSING = {"shared", "top_k", "dtype", "init", "init_samples", "shard_bytes"}
_NO_MATTER = {"resamples", "ties", *_COMPOSING}


@dataclass(frozen=True)
class Mixing:
    """What one mixing starts from."""

    workspace: Workspace
    settings: MixSettings
    training: TrainingSettings
    experts: Sequence[Expert]
    base: Path | str
    union: Expert | None
    frame: pl.DataFrame
    """Every sample of the run, as `training.examples.assigned` gives it."""
    held_out: Mapping[str, pl.DataFrame]
    """Rows that losses are measured on, by subset and `all`."""
    hashes: Mapping[str, str]
    """Of `base`, `union`, and every expert by its name."""
    console: Console

    def composition_key(self) -> str:
        """A hash of what the untrained mixture follows from."""
        own = [self.hashes[name] for name in ("base", *(expert.name for expert in self.experts))]
        options = self.settings.model_dump(include=_COMPOSING)
        rows = [] if self.settings.init == "zero" else [self.ids(group) for group in self.own_rows()]
        return _hash([own, [expert.name for expert in self.experts], options, rows])

    def training_key(self) -> str:
        """A hash of what the trained mixture follows from."""
        options = self.settings.model_dump(exclude=_NO_MATTER)
        return _hash([self.composition_key(), options, self._how_read(), self.ids(self.router_rows())])

    def contenders(self, *, with_trained: bool) -> list[Contender]:
        """The models to compare; the trained mixture only `with_trained`."""
        own = [(e.name, e.training.label, e.path, self.hashes[e.name]) for e in self.experts]
        if self.union is not None and self.union.name not in {expert.name for expert in self.experts}:
            own.append(("union", self.union.training.label, self.union.path, self.hashes["union"]))
        stored = self.stored_as()
        rounded = {name for name, _, path, _ in own if is_adapter(path)}
        models = [(BASE, LABELS[BASE], self.base, self.hashes["base"]), *own]
        models.append((AVERAGE, LABELS[AVERAGE], self.workspace.average, f"average {self.composition_key()}"))
        if self.settings.ties:
            models.append((TIES, LABELS[TIES], self.workspace.ties, f"ties {self.composition_key()}"))
        untrained = (UNTRAINED, LABELS[UNTRAINED], self.workspace.moe, self.composition_key())
        if self.settings.train == "none":
            models.append((MIXED, *untrained[1:]))
        else:
            models.append(untrained)
            if with_trained:
                models.append((MIXED, mixture_label(self.settings.train), self.workspace.moe, self.training_key()))
        rows = [self._how_read(), self.ids(self.held_out[ALL])]
        return [
            Contender(name, label, path, _hash([key, rows, stored]), stored)
            if name in rounded
            else Contender(name, label, path, _hash([key, rows]))
            for name, label, path, key in models
        ]

    def unrounded(self) -> list[Contender]:
        """The adapters as they were trained, where storing them merged rounds them: what that costs."""
        exact = "float32"
        rounded = [one for one in self.contenders(with_trained=False) if one.stored_as not in (None, exact)]
        return [replace(one, key=_hash([one.key, exact]), stored_as=exact) for one in rounded]

    def stored_as(self) -> str:
        """torch's name of the numbers that merged weights are stored as."""
        if self.settings.dtype == "auto":
            return str(stored_dtype(self.base)).removeprefix("torch.")
        return TORCH_NAMES[STORED_AS[self.settings.dtype]]

    def router_rows(self) -> pl.DataFrame:
        """The samples that the routers are trained on. Raises `UserError` where none were held back."""
        part = "fit" if self.settings.router_data == "union" else "router"
        subsets = [expert.subset for expert in self.experts]
        whole = any(subset in GROUPS for subset in subsets)
        rows = choose_part(self.frame, UNION, part)
        if not whole:
            rows = self.frame.filter(pl.col("part") == part, pl.col("subset").is_in(subsets))
        if part == "router" and rows.is_empty():
            raise UserError(
                "no dialogues were held back for the routers: train the experts with --set hold_back=0.1, "
                "or train the routers on the union"
            )
        return self._few(rows, self.settings.max_samples)

    def own_rows(self) -> list[pl.DataFrame]:
        """Of each expert some samples that it was trained on, for the routers' start."""
        return [
            self._few(
                choose_part(self.frame, ALL if expert.subset == RANDOM else expert.subset, "fit"),
                self.settings.init_samples,
            )
            for expert in self.experts
        ]

    def _few(self, rows: pl.DataFrame, count: int | None) -> pl.DataFrame:
        return rows if count is None or len(rows) <= count else choose(rows, ALL, size=count, seed=self.settings.seed)

    def encode_rows(self, rows: pl.DataFrame, tokenizer: Any) -> list[EncodedSample]:
        """The rows as tokens, in the experts' template."""
        examples = (
            rows if "prompt" in rows.columns else conversational(rows, PromptTemplate.load(self.training.template))
        )
        return encode(examples, tokenizer, self.training.max_length).samples

    def _how_read(self) -> list[Any]:
        return [PromptTemplate.load(self.training.template).hash, self.training.max_length]

    @staticmethod
    def ids(rows: pl.DataFrame) -> str:
        """What samples are known by."""
        return _hash(rows["sample_id"].to_list())


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
