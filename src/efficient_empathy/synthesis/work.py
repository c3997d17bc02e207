"""What a synthesis knows before it asks for anything: the run, its cells and its judge, the model, the test files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from efficient_empathy.dialogues import read
from efficient_empathy.dialogues.sample import SAMPLE_SCHEMA, Sample
from efficient_empathy.evaluation.robustness.settings import training_settings
from efficient_empathy.foundation.errors import UserError, redact
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.refresh.settings import UncertaintySettings
from efficient_empathy.labelling.refresh.stage import ScoredRun
from efficient_empathy.labelling.refresh.uncertainty import selector_at_stake
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.generation.asking import Asker
from efficient_empathy.modelling.generation.job import find_model
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.modelling.generation.target import template_for
from efficient_empathy.modelling.training.record import last_training
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.synthesis.asking import Cast
from efficient_empathy.synthesis.candidate import Candidate, earlier_candidates
from efficient_empathy.synthesis.dimensions import made_values, read_targets
from efficient_empathy.synthesis.embeddings import Embedder
from efficient_empathy.synthesis.filters import Filter, FilterContext, build_filters
from efficient_empathy.synthesis.judging import RunJudge, open_run
from efficient_empathy.synthesis.material import Material
from efficient_empathy.synthesis.plan import Cell
from efficient_empathy.synthesis.record import CANDIDATES_FILE, PromptRecord, SynthesisRecord
from efficient_empathy.synthesis.requests import Requests
from efficient_empathy.synthesis.settings import SynthesisSettings


@dataclass
class Work:
    """All that a call knows before it asks for anything."""

    workspace: Workspace
    settings: SynthesisSettings
    training: TrainingSettings
    material: Material
    cells: list[Cell]
    requests: Requests
    model: str
    identity: str
    base_url: str | None
    cast: Cast
    run: ScoredRun
    judge: RunJudge | None
    test_files: dict[str, list[Sample]]
    inputs: dict[str, str]

    @classmethod
    def prepare(
        cls,
        workspace: Workspace,
        model: str,
        settings: SynthesisSettings,
        endpoint: EndpointOptions | None,
        training: TrainingSettings | None = None,
    ) -> Work:
        """Read the run and find the model. `training` is how its experts are trained: None for as it was done last.

        Raises `UserError` for what the user can put right; writes nothing.
        """
        run = open_run(workspace)
        table = RunTable(workspace).require("samples", "scores")
        selector = selector_at_stake(UncertaintySettings(), table)
        if selector is None:
            raise UserError(
                "the policy paper does not fit the run's rubric: run `efficient-empathy select --policy FILE`"
            )
        training = training or _training_of(workspace)
        material = Material(table, selector, training)
        cells = material.cells(settings.by, read_targets(settings.targets), settings.samples)
        if not cells:
            raise UserError(f"{workspace.root} has no sample in its training part: there is nothing to start from")
        cast, identity = _cast(workspace, model, settings, endpoint)
        test_files = {f"the test file {name}": _read_samples(name) for name in settings.test_files}
        digest = hashlib.sha256("\n".join(sample.id for rows in test_files.values() for sample in rows).encode())
        return cls(
            workspace=workspace,
            settings=settings.without_proof,
            training=training,
            material=material,
            cells=cells,
            requests=Requests(material, settings, cells),
            model=model,
            identity=identity,
            base_url=redact(endpoint.base_url) if endpoint else None,
            cast=cast,
            run=run,
            judge=RunJudge(run, selector, settings.least) if settings.judged else None,
            test_files=test_files,
            inputs={"run": material.digest, **({"test files": digest.hexdigest()} if test_files else {})},
        )

    @property
    def prompts(self) -> tuple[PromptRecord, ...]:
        """What each generator asks by."""
        prompts = {name: one.prompt for name, one in self.requests.generators.items()}
        return tuple(
            PromptRecord(generator=name, name=one.name, version=one.version, hash=one.hash)
            for name, one in prompts.items()
        )

    @property
    def real(self) -> int:
        """How many real samples the run has to train on."""
        return len(self.material.real)

    @property
    def replies_path(self) -> Path:
        """Where the model's replies are kept."""
        return self.workspace.synthesis / "replies.jsonl"

    @property
    def candidates_path(self) -> Path:
        """Where all that was made is kept, with its fate."""
        return self.workspace.synthesis / CANDIDATES_FILE

    @property
    def key(self) -> str:
        """What replies depend on besides the requests."""
        content = json.dumps([self.identity, self.settings.generation.decoding], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    def same_as(self, last: SynthesisRecord) -> bool:
        """Whether an earlier call was of the same."""
        mine = (self.settings, self.identity, self.inputs, self.prompts)
        return (last.parameters, last.identity, last.inputs, last.prompts) == mine

    @property
    def plan(self) -> str:
        """Tells apart what a plan asks for: the run's samples as they are scored and selected."""
        return self.inputs["run"]

    def earlier(self) -> list[Candidate]:
        """What the same model made for the run by the same prompts, when its samples were scored or selected otherwise.

        What a reply was paid for once stays a candidate when labels change.
        """
        last, path = self.workspace.last(SynthesisRecord.STAGE, SynthesisRecord), self.candidates_path
        if last is None or not self.workspace.whole(SynthesisRecord.STAGE, path):
            return []
        if (last.identity, last.parameters.generation.decoding) != (self.identity, self.settings.generation.decoding):
            return []
        seeds = {sample.id: sample for sample in self.material.real}
        hashes = {one.generator: one.hash for one in self.prompts}
        return list(earlier_candidates(path, self.plan, hashes, seeds))

    def cells_of(self, candidates: Sequence[Candidate], scores: pl.DataFrame) -> list[tuple[str, ...]]:
        """By candidate, the key of the cell that it turned out to be of; `scores` as of `Sifted`."""
        rows = pl.DataFrame([one.sample.row() if one.sample else {} for one in candidates], schema=SAMPLE_SCHEMA)
        axes = [axis.name for axis in self.material.axes]
        judged = scores.select(axes) if self.judge else pl.DataFrame({axis: [None] * len(rows) for axis in axes})
        seeds = [one.seed.id if one.seed else None for one in candidates]
        values = made_values(
            self.material.dimensions, pl.concat([rows, judged], how="horizontal"), self.material.topics, seeds
        )
        subsets = scores["subset"] if self.judge else [one.subset for one in candidates]
        return [(*row, subset or "") for row, subset in zip(values, subsets, strict=True)]

    def filters(self, embedder: Embedder, notes: list[str]) -> list[Filter]:
        """The filters of the settings; `notes` takes what the user is told once."""
        generators = self.requests.generators
        return build_filters(
            self.settings,
            FilterContext(
                real=self.material.real,
                protected={**self.material.protected, **self.test_files},
                templates={name: one.prompt.texts for name, one in generators.items()},
                keeps_context=[name for name, one in generators.items() if one.keeps_context],
                embed=embedder.texts,
                notes=notes,
            ),
        )


def _training_of(workspace: Workspace) -> TrainingSettings:
    """How the run's experts are trained: as the last one was, else as its recipe says. Raises `UserError`."""
    last = last_training(workspace)
    return last.settings if last else training_settings(workspace)


def _cast(
    workspace: Workspace, model: str, settings: SynthesisSettings, endpoint: EndpointOptions | None
) -> tuple[Cast, str]:
    """Who is asked, and what they are."""
    generation = settings.generation
    target, identity = find_model(workspace, model, generation, None, endpoint)
    asker = speaker = Asker(target.name, model, target.path, generation, endpoint)
    if settings.speaker is not None:
        other, other_identity = find_model(workspace, settings.speaker, generation, None, endpoint)
        speaker = Asker(f"{other.name} as the speaker", settings.speaker, other.path, generation, endpoint)
        identity = f"{identity}, the speaker by {other_identity}"
    is_asked_here = endpoint is None and "roles" in settings.generators
    template = template_for(target, None, workspace) if is_asked_here else PromptTemplate.load("chat")
    return Cast(asker, speaker, template), identity


def _read_samples(source: str) -> list[Sample]:
    frame = read(source)
    if frame.is_empty():
        raise UserError(f"the test file {source} holds no sample")
    return [Sample.from_row(row) for row in frame.iter_rows(named=True)]
