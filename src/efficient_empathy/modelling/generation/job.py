"""What one call of `generate` is to do, worked out before anything is loaded or written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from efficient_empathy.dialogues import read_contexts
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError, endpoint_name
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.connection import address_of
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.llm.settings import settings_of_request
from efficient_empathy.modelling.generation.backends import Prompt
from efficient_empathy.modelling.generation.settings import EndpointOptions, GenerationSettings, Part
from efficient_empathy.modelling.generation.target import (
    Target,
    file_name,
    fingerprint,
    resolve,
    template_for,
    training_of,
)
from efficient_empathy.modelling.training.models import require_intact
from efficient_empathy.modelling.training.settings import TrainingSettings


def samples_of_run(workspace: Workspace, part: Part, training: TrainingSettings) -> pl.DataFrame:
    """`sample_id` and `context` of a part of the run's samples, in their order.

    `training` are the settings that the models were trained with, which say what was held out, so that no model is
    asked what it has seen. Where there is no test split the held-out part stands in for it.
    """
    from efficient_empathy.modelling.training.examples import partition

    table = RunTable(workspace).require("samples")
    frame = table.read(["sample_id", "dialogue_id", "split", "context"])
    if part == "all":
        return frame.select("sample_id", "context")
    parts = partition(frame, held_out=training.held_out, hold_back=training.hold_back, seed=training.seed)
    for name in ("test", "held_out") if part == "test" else ("held_out",):
        rows = parts.filter(pl.col("part") == name)
        if len(rows):
            return rows.select("sample_id", "context")
    raise UserError(
        f"{workspace.samples} has no sample that was held out: use --part all, or --source with other samples"
    )


def samples_of_source(source: str | Path, reading: ReadingSettings | None = None) -> pl.DataFrame:
    """`sample_id` and `context` of all samples of a file, a folder or a hub data set, and of what awaits a reply."""
    frame = read_contexts(source, reading)
    if frame.is_empty():
        raise UserError(f"{source} holds no sample: nothing to answer")
    return frame.select("sample_id", "context")


def few(frame: pl.DataFrame, samples: int | None) -> pl.DataFrame:
    """At most `samples` rows, in their order: those with the lowest ids, which are hashes of the text."""
    if samples is None or samples >= len(frame):
        return frame
    rows = frame.with_row_index("row").sort("sample_id", "row").head(samples).sort("row")
    return rows.drop("row")


@dataclass
class Job:
    """A model, the prompts for it, and where the responses go.

    `rows` are the sample ids in the output's order; `ids` are the same without repetition, one for each of `prompts`.
    `identity` is what the model is, as a hash or as name and address. Replies with the same `key` are to the same
    question in the same way, sample by sample; `rows_hash` is a hash of the rows.
    """

    model: str
    target: Target
    settings: GenerationSettings
    endpoint: EndpointOptions | None
    template: PromptTemplate
    part: str
    rows: list[str]
    ids: list[str]
    prompts: list[Prompt]
    identity: str
    output: Path
    inputs: dict[str, str]
    backend: str = ""

    @property
    def name(self) -> str:
        """What the responses are kept under."""
        return self.target.name

    @property
    def key(self) -> str:
        """The model, the template and the decoding, as a hash."""
        settings = self.settings
        parts = [self.identity, self.template.hash, settings.decoding, settings.precision, settings.backend]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def rows_hash(self) -> str:
        """The samples, as a hash."""
        return hashlib.sha256("\n".join(self.rows).encode()).hexdigest()[:32]


def plan_job(
    workspace: Workspace | None,
    model: str,
    settings: GenerationSettings,
    name: str | None,
    endpoint: EndpointOptions | None,
    source: str | Path | None,
    output: Path | None,
    reading: ReadingSettings | None,
) -> Job:
    """See `stage.generate` for the parameters. Raises `UserError` for what cannot be done; writes nothing."""
    target, identity = find_model(workspace, model, settings, name, endpoint)
    if endpoint is not None:
        template = PromptTemplate.load(settings.template or "chat")
    else:
        template = template_for(target, settings.template, workspace)
    inputs: dict[str, str] = {}
    if source is not None:
        part = settings.part or "all"
        if part != "all":
            raise UserError(f"--part {part} is of a run: with --source all of its samples are answered")
        frame = samples_of_source(source, reading)
    else:
        assert workspace is not None  # the caller sees to it
        part = settings.part or "test"
        training = training_of(target, workspace)
        frame = samples_of_run(workspace, part, training.settings if training else TrainingSettings())
        inputs = workspace.hashes([workspace.samples, *_weights(workspace, target)])
    frame = few(frame, settings.samples)
    distinct = frame.unique("sample_id", keep="first", maintain_order=True)
    return Job(
        model=model,
        target=target,
        settings=settings,
        endpoint=endpoint,
        template=template,
        part=part,
        rows=frame["sample_id"].to_list(),
        ids=distinct["sample_id"].to_list(),
        prompts=_prompts(distinct, template),
        identity=identity,
        output=_output(workspace, target, output),
        inputs=inputs,
    )


def find_model(
    workspace: Workspace | None,
    model: str,
    settings: GenerationSettings,
    name: str | None = None,
    endpoint: EndpointOptions | None = None,
) -> tuple[Target, str]:
    """Which model is meant, and what it is: a hash, or of one behind an endpoint its name and address.

    Raises `UserError` for one that there is not, or that is not as it was written, and for settings that it has not.
    """
    if endpoint is None:
        target = resolve(model, workspace, name)
        if workspace is not None:
            require_intact(workspace, Path(target.path))
        return target, fingerprint(target.path)
    if settings.repetition_penalty != 1:
        raise UserError(
            "--repetition-penalty is for models in this process, since servers call it by different names: give "
            """the endpoint's own field, such as --extra-body '{"repetition_penalty": 1.1}' for vLLM"""
        )
    further = settings_of_request(endpoint.headers, endpoint.extra_body)
    identity = f"{model} at {address_of(endpoint.wire, endpoint.base_url)}"
    identity += f" {json.dumps(further, sort_keys=True)}" if further else ""
    return Target(endpoint_name(endpoint.base_url), file_name(name or model), name or model), identity


def _weights(workspace: Workspace, target: Target) -> list[Path]:
    """The files with a model's weights, if it is one of the run's own."""
    folder = Path(target.path)
    own = folder.parent == workspace.experts or folder in workspace.composed
    return sorted(folder.glob("*.safetensors")) if own else []


def _prompts(frame: pl.DataFrame, template: PromptTemplate) -> list[Prompt]:
    prompts = []
    for sample_id, context in frame.select("sample_id", "context").iter_rows():
        try:
            prompts.append(template.messages(context))
        except UserError as error:
            raise UserError(f"sample {sample_id}: {error}") from error
    return prompts


def _output(workspace: Workspace | None, target: Target, output: Path | None) -> Path:
    if output is None:
        assert workspace is not None  # the caller sees to it
        return workspace.generations / f"{target.name}.parquet"
    if output.suffix != ".parquet":
        raise UserError(f"-o {output}: responses are written as Parquet, so name it FILE.parquet")
    return output
