"""The stage `prove`: four arms are trained and measured, and what they say of the synthetic samples is recorded."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from efficient_empathy.evaluation.robustness.models import NO_MATTER, MeasuredModel, Store
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.foundation.figures.formatting import plural
from efficient_empathy.foundation.guard import Bounds, needs_of
from efficient_empathy.foundation.permissions import require
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.bases import require_base
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.modelling.training.examples import choose
from efficient_empathy.modelling.training.record import ALL, read_trainings
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.synthesis.proof.arms import COLUMNS, Pool
from efficient_empathy.synthesis.proof.comparison import ByArm, compare
from efficient_empathy.synthesis.proof.record import (
    MORE_REAL,
    PROOF_FILE,
    REAL,
    SYNTHETIC,
    ProofRecord,
    ProofResult,
    ProveRecord,
)
from efficient_empathy.synthesis.proof.settings import ProofSettings
from efficient_empathy.synthesis.settings import SynthesisSettings
from efficient_empathy.synthesis.work import Work

STAGE = ProveRecord.STAGE
FOLDER = "proof"
"""In `synthesis/`: a folder a model, with each held-out response's loss."""
FEW_DIALOGUES = 20
"""Held-out dialogues below which a proof says that its intervals are rough."""
_MIN_DIALOGUES = 2
Drawn = Mapping[ByArm, pl.DataFrame]
"""The ids that each arm is trained on."""


def prove(
    workspace: Workspace,
    model: str,
    settings: SynthesisSettings,
    endpoint: EndpointOptions | None = None,
    training: TrainingSettings | None = None,
    *,
    console: Console | None = None,
    force: bool = False,
) -> ProofResult:
    """Say whether the synthetic samples that a run has help, whatever has been judged or selected since they were made.

    `model`, `settings`, `endpoint` and `training` are those of their synthesis (`synthesize`, which does this as well).
    Writes `synthesis/proof.json`. Skipped when nothing has changed, unless `force`. Raises `UserError`.
    """
    console = console or Console(stderr=True)
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        return require_provable(workspace, model, settings, endpoint, training).prove(console, force=force)


def require_provable(
    workspace: Workspace,
    model: str,
    settings: SynthesisSettings,
    endpoint: EndpointOptions | None = None,
    training: TrainingSettings | None = None,
) -> Prover:
    """What proves; raises `UserError` where that can be told to fail before a sample is made."""
    work = Work.prepare(workspace, model, settings, endpoint, training)
    return Prover.prepare(work, settings, is_users=training is not None)


@dataclass(frozen=True)
class Prover:
    """All that a proof knows before there is a synthetic sample."""

    work: Work
    settings: ProofSettings
    training: TrainingSettings
    store: Store

    @classmethod
    def prepare(cls, work: Work, settings: ProofSettings, *, is_users: bool) -> Prover:
        """`is_users`: the work's training is the user's word, and not what the run says, which takes permissions.

        Raises `UserError` where nothing is held out, and for a base that is not there or may not be loaded.
        """
        root = work.workspace.root
        dialogues = work.material.kept_back["dialogue_id"].n_unique()
        if dialogues < _MIN_DIALOGUES:
            raise UserError(
                f"{root} holds {dialogues:,} real dialogues out, too few to prove anything on: score data with a test "
                "split, or train with a higher --held-out first"
            )
        base = settings.prove_base or work.training.base
        changes = {"base": base, "try_learning_rates": (), "evaluate_every": 0}
        training = work.training.model_copy(update=changes)
        if not is_users:
            bounds = Bounds((root.resolve(),), {"base"} if settings.prove_base else ())
            require(f"the run {root}", needs_of(TrainingSettings, training.model_dump(mode="json"), bounds))
        store = Store(work.workspace.synthesis / FOLDER, training)
        if not is_users and not settings.prove_base:
            require_base(store.base, root, root, bundled=base is None)
        return cls(work, settings, training, store)

    def prove(self, console: Console, *, force: bool = False) -> ProofResult:
        """Train and measure what is not there yet, and write the proof.

        `synthesis/proof/` has each model's losses as soon as they are measured, and its weights only until then: a
        killed call goes on from the last checkpoint. What other inputs or settings have left there is removed. Raises
        `UserError` where there are too few samples, and as training does.
        """
        began = time.perf_counter()
        workspace = self.work.workspace
        folder, path = workspace.synthesis / FOLDER, workspace.synthesis / PROOF_FILE
        pool = Pool.read(self.work)
        drawn = {(arm, seed): rows[["sample_id"]] for seed in self._seeds for arm, rows in pool.draw(seed).items()}
        self._require_enough(drawn)
        steps, held_out = self._steps(pool), self._held_out()
        stores = {seed: self._store(seed, steps) for seed in self._seeds}
        folders = {f"{arm}, seed {seed}": stores[seed].key(ids, held_out) for (arm, seed), ids in drawn.items()}
        inputs = workspace.hashes([self.work.candidates_path])
        last = workspace.last(STAGE, ProveRecord)
        same = last is not None and (last.models, last.inputs) == (folders, inputs)
        if same and not force and workspace.whole(STAGE, path):
            return ProofResult.of(ProofRecord.read(path), skipped=True)
        with error_context(f"write the proof to {folder}"):
            for other in folder.glob("*"):
                if force or other.name not in folders.values():
                    shutil.rmtree(other, ignore_errors=True)
            models: dict[ByArm, MeasuredModel] = {}
            for seed in self._seeds:
                for arm, rows in pool.draw(seed).items():
                    what = f"{arm}, seed {seed} ({len(models) + 1} of {len(drawn)})"
                    models[arm, seed] = stores[seed].get(rows, held_out, what, console)
            record = ProofRecord(
                **compare(models, held_out),
                steps=steps,
                base=str(self.store.base),
                synthetic=_extra(drawn, self._seeds),
                notes=tuple(self._notes(pool, drawn, models, held_out)),
                settings=self.training.model_dump(mode="json", exclude={*NO_MATTER, "seed", "max_steps"}),
                base_hash=self.store.base_hash,
                template_hash=self.store.template.hash,
                models=folders,
                inputs=inputs,
            )
            workspace.begin(STAGE, [path])
            record.write(path)
        stage_record = ProveRecord(
            model=self.work.model,
            base_url=self.work.base_url,
            parameters=self.work.settings.model_copy(update=self.settings.proof_settings),
            models=folders,
            inputs=inputs,
            seconds=round(time.perf_counter() - began, 1),
        )
        workspace.record(STAGE, stage_record, [path])
        return ProofResult.of(record, skipped=False)

    @property
    def _seeds(self) -> range:
        """Of the draws and the trainings."""
        return range(self.settings.prove_seeds)

    def _store(self, seed: int, steps: int) -> Store:
        return self.store.with_settings(self.training.model_copy(update={"seed": seed, "max_steps": steps}))

    def _held_out(self) -> pl.DataFrame:
        """The real samples that losses are measured on, at most `max_held_out`; no arm learns from their dialogues."""
        rows = self.work.material.kept_back.unique("sample_id", keep="first", maintain_order=True)
        most = self.training.max_held_out
        if most is not None and len(rows) > most:
            rows = choose(rows, ALL, size=most, seed=self.training.seed)
        return rows.select(COLUMNS)

    def _require_enough(self, drawn: Drawn) -> None:
        real, batch = min(len(drawn[REAL, seed]) for seed in self._seeds), self.training.batch_size
        if not _extra(drawn, self._seeds):
            need = "to hold as many back as there are synthetic ones"
        elif real < batch:
            need = f"for batches of {batch} once as many are held back as there are synthetic ones"
        else:
            return
        raise UserError(
            f"the run has {len(self.work.material.selected):,} selected real samples to train on, too few {need}: "
            "score more data, ask for fewer --samples, or train with a lower --batch-size first"
        )

    def _steps(self, pool: Pool) -> int:
        """The same for all: what is asked for, what the training is limited to, or the epochs of all real samples.

        No arm has more samples than these are, with or without synthetic ones.
        """
        if fixed := self.settings.prove_steps or self.training.max_steps:
            return fixed
        in_epoch = math.ceil(math.ceil(len(pool.real) / self.training.batch_size) / self.training.gradient_accumulation)
        return math.ceil(in_epoch * self.training.epochs)

    def _notes(
        self, pool: Pool, drawn: Drawn, models: Mapping[ByArm, MeasuredModel], held_out: pl.DataFrame
    ) -> list[str]:
        notes = []
        if pool.away:
            notes.append(f"{plural(pool.away, 'synthetic sample')} cannot take part: the seeds are held out by now")
        if (took_part := _extra(drawn, self._seeds)) < len(pool.kept):
            notes.append(
                f"{took_part:,} of {len(pool.kept):,} synthetic samples take part: there are no more real samples "
                f"that can be held back for the arm {MORE_REAL}"
            )
        if too_long := max(one.record.too_long or 0 for one in models.values()):
            notes.append(f"up to {too_long:,} samples of an arm are left out, since they are too long to train on")
        if (dialogues := held_out["dialogue_id"].n_unique()) < FEW_DIALOGUES:
            notes.append(f"{dialogues:,} held-out dialogues are few: the intervals are rough")
        if self.settings.prove_seeds == 1:
            notes.append("with one seed the intervals know of other dialogues, not of other seeds")
        if self.work.model in {
            *read_trainings(self.work.workspace.experts),
            *(one.name for one in self.work.workspace.composed),
        }:
            notes.append(
                f"{self.work.model}, which wrote the synthetic samples, was trained on real samples of the run, also "
                f"on those that only the arm {MORE_REAL} has here: its samples may pass on what they teach"
            )
        return notes


def _extra(drawn: Drawn, seeds: range) -> int:
    """How many samples the arms have beyond the real part, at least."""
    return min(len(drawn[SYNTHETIC, seed]) - len(drawn[REAL, seed]) for seed in seeds)
