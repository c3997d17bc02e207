"""The stage `synthesize`: from what a run lacks to synthetic samples in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from math import ceil
from pathlib import Path

import polars as pl

from efficient_empathy.dialogues import write_samples
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.runner import SessionEnding
from efficient_empathy.modelling.generation.endpoint import EndpointGenerator
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.modelling.training.settings import TrainingSettings
from efficient_empathy.scoring.ingestion import join_synthetic
from efficient_empathy.synthesis.asking import ReplyStore, request_id
from efficient_empathy.synthesis.candidate import Candidate, candidates_frame
from efficient_empathy.synthesis.discriminator import Discriminator
from efficient_empathy.synthesis.diversity import DiversityRecord
from efficient_empathy.synthesis.embeddings import Embedder
from efficient_empathy.synthesis.generators import Request, RolePlay
from efficient_empathy.synthesis.judging import write_scores
from efficient_empathy.synthesis.proof.stage import Prover
from efficient_empathy.synthesis.record import (
    DIVERSITY_FILE,
    CellRecord,
    MakerRecord,
    SynthesisPlan,
    SynthesisRecord,
    SynthesisResult,
)
from efficient_empathy.synthesis.settings import SynthesisSettings
from efficient_empathy.synthesis.sifting import TARGET, Sifted, sift, thin
from efficient_empathy.synthesis.vectors import kept_vectors
from efficient_empathy.synthesis.work import Work

STAGE = SynthesisRecord.STAGE
LEFT_OUT = "left-out.parquet"
"""The candidates of a call of which nothing could be kept."""
VECTORS_FILE = "real-vectors.npz"
GUESS = 0.5
"""The share of requests that are expected to give a sample before anything is known."""
_BYTES_A_TOKEN = 4
_MOST_GROWTH = 4
"""A wave asks for at most so many times what was asked for before."""


def synthesize(
    workspace: Workspace,
    model: str,
    settings: SynthesisSettings | None = None,
    *,
    endpoint: EndpointOptions | None = None,
    training: TrainingSettings | None = None,
    console: Console | None = None,
    force: bool = False,
) -> SynthesisResult:
    """Make synthetic samples for what a run lacks, keep the good ones, and put them into the run.

    `model` writes them: base, one of the run's, a folder, a name of the hub, or with `endpoint` a model there. A pilot
    is asked for first, then as much as its survival calls for. Replies are kept as they come, in
    `synthesis/replies.jsonl`: after Ctrl-C or a kill the same call asks only for what is missing.

    `synthesis/candidates.parquet` has every candidate with what it was made from and why it went, and
    `synthesis/kept.parquet` what was kept, in the schema of samples. These stand behind the run's own samples then,
    with scores, in the split `synthetic`; `select` puts them into subsets. Skipped when nothing has changed and all is
    there, unless `force`, which asks for everything anew.

    With `settings.prove`, four arms are trained then that say whether the samples help (`synthesis/proof.json`), as
    `training` says: None for how the run's experts are trained.

    Raises `UserError` for what the user can put right, and where nothing was kept: it names the step that left nothing.
    """
    console, settings = console or Console(stderr=True), settings or SynthesisSettings()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        work = Work.prepare(workspace, model, settings, endpoint, training)
        prover = Prover.prepare(work, settings, is_users=training is not None) if settings.prove else None
        last = workspace.last(STAGE, SynthesisRecord)
        outputs = [workspace.synthetic, work.candidates_path]
        same = last is not None and work.same_as(last) and last.ending == "complete" and last.kept
        if last is not None and same and not force and workspace.whole(STAGE, *outputs):
            result = SynthesisResult.of(last, skipped=True)
        else:
            result = SynthesisResult.of(_synthesize(work, console, force=force))
        if prover is None or result.ending != "complete":
            return result
        proof = prover.prove(console, force=force)
        return result.model_copy(update={"proof": proof, "skipped": result.skipped and proof.skipped})


def plan_synthesis(
    workspace: Workspace,
    model: str,
    settings: SynthesisSettings | None = None,
    *,
    endpoint: EndpointOptions | None = None,
) -> SynthesisPlan:
    """What `synthesize` would ask for. Writes nothing."""
    settings = settings or SynthesisSettings()
    work = Work.prepare(workspace, model, settings, endpoint)
    last = workspace.last(STAGE, SynthesisRecord)
    is_known = last is not None and last.identity == work.identity and last.prompts == work.prompts and last.kept > 0
    survival = last.kept / last.requests if last is not None and is_known else GUESS
    count = min(settings.most_requests, ceil(settings.samples / survival))
    shown = list(islice(work.requests, min(count, settings.pilot)))
    generators = work.requests.generators
    prompts = [generators[one.generator].messages(one) for one in shown]
    calls = [one.lines if isinstance(generators[one.generator], RolePlay) else 1 for one in shown]
    bytes_sent = [
        times * sum(len(message["content"].encode()) for message in prompt)
        for prompt, times in zip(prompts, calls, strict=True)
    ]
    prompt_tokens = ceil(count * sum(bytes_sent) / len(prompts) / _BYTES_A_TOKEN)
    all_calls = ceil(count * sum(calls) / len(calls))
    completion_tokens = all_calls * settings.max_new_tokens
    cost: float | None = 0.0
    if endpoint is not None:
        price = EndpointGenerator.load(model, settings.generation, endpoint).endpoint.price
        cost = None if price is None else round(price.cost(prompt_tokens, completion_tokens), 6)
    return SynthesisPlan(
        model=model,
        samples=settings.samples,
        real=work.real,
        cells=tuple(work.cells),
        survival=survival,
        survival_is_known=is_known,
        requests=count,
        calls=all_calls,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        behind_endpoint=endpoint is not None,
        cost_usd=cost,
        most_requests=settings.most_requests,
        example="\n\n".join(f"[{message['role']}]\n{message['content']}" for message in prompts[0]),
    )


def _synthesize(work: Work, console: Console, *, force: bool) -> SynthesisRecord:
    settings, generators = work.settings, work.requests.generators
    store = ReplyStore(work.replies_path, work.key, work.cast, anew=force)
    notes: list[str] = []
    embedder = Embedder()
    filters = work.filters(embedder, notes)
    discriminator = None
    if settings.discriminator is not None:
        discriminator = Discriminator(work.workspace, settings.discriminator, settings.likeness, embedder)
    enough = ceil(settings.samples / settings.diversity)
    stream, asked = iter(work.requests), dict[str, Request]()
    earlier = [] if force else work.earlier()
    most = settings.most_requests - len(earlier)
    count = min(settings.pilot if not earlier else 0, most)
    ending: SessionEnding
    while True:
        new = islice(stream, max(0, count - len(asked)))
        asked |= {request_id(one, generators[one.generator]): one for one in new}
        ending = store.ask(asked, generators, console)
        candidates = [one for one in earlier if one.request not in asked]
        known = len(candidates)
        candidates += [
            store.candidate(one, name, generators[one.generator], work.plan)
            for name, one in asked.items()
            if store.is_answered(name, one, generators[one.generator])
        ]
        sifted = sift(candidates, filters, discriminator, work.judge, console)
        cells = work.cells_of(candidates, sifted.scores)
        if barred := {cell.key for cell in work.cells if not cell.share}:
            out = {place: "its cell is to have none" for place in sifted.places if cells[place] in barred}
            sifted.drop(TARGET, out, "another --target")
        stay = len(sifted.places)
        ending = ending if ending != "complete" else sifted.ending
        console.print(f"{stay:,} of {known + len(asked):,} candidates come through so far; {enough:,} are wanted.")
        if ending != "complete" or stay >= enough or count >= most:
            break
        rate = max(sum(place >= known for place in sifted.places), 1) / max(len(asked), 1)
        growth = len(asked) + ceil((enough - stay) / rate)
        count = min(most, max(settings.pilot, min(_MOST_GROWTH * count, growth)))
    wanted = {cell.key: cell.wanted for cell in work.cells}
    real = kept_vectors(work.workspace.synthesis / VECTORS_FILE, work.material.real, embedder, console)
    diversity = thin(sifted, candidates, cells, wanted, real, settings, embedder)
    counts = Counter(cells[place] for place in sifted.places)
    requests = known + len(asked)
    record = _record(work, store, candidates, sifted, counts, ending, notes, requests)
    table = candidates_table(work, candidates, sifted)
    if record.kept:
        kept = [sample for place in sifted.places if (sample := candidates[place].sample) is not None]
        _keep(work, record, table, kept, diversity)
    elif ending == "complete":
        with atomic(work.workspace.synthesis / LEFT_OUT) as path:
            table.write_parquet(path, compression="zstd")
        raise UserError(_nothing(sifted, requests, work.workspace.synthesis / LEFT_OUT))
    return record


def _record(
    work: Work,
    store: ReplyStore,
    candidates: Sequence[Candidate],
    sifted: Sifted,
    counts: Mapping[tuple[str, ...], int],
    ending: SessionEnding,
    notes: list[str],
    requests: int,
) -> SynthesisRecord:
    """What was asked for, what came through and what is kept; `counts` has how many of each cell."""
    return SynthesisRecord(
        model=work.model,
        base_url=work.base_url,
        prompts=work.prompts,
        requests=requests,
        candidates=len(candidates),
        steps=tuple(sifted.steps),
        makers=_makers(candidates, sifted),
        cells=tuple(CellRecord(**cell.model_dump(), kept=counts.get(cell.key, 0)) for cell in work.cells),
        kept=len(sifted.places),
        real=work.real,
        cost_usd=round(store.replies.cost_usd, 6),
        judge_cost_usd=round(sifted.judge_cost_usd, 6),
        seconds=round(store.replies.seconds, 2),
        ending=ending,
        notes=tuple(notes),
        parameters=work.settings,
        identity=work.identity,
        inputs=work.inputs,
    )


def _makers(candidates: Sequence[Candidate], sifted: Sifted) -> tuple[MakerRecord, ...]:
    made = Counter(one.generator for one in candidates)
    kept = Counter(candidates[place].generator for place in sifted.places)
    return tuple(MakerRecord(generator=name, candidates=count, kept=kept[name]) for name, count in made.items())


def _keep(
    work: Work,
    record: SynthesisRecord,
    table: pl.DataFrame,
    kept: Sequence[Sample],
    diversity: DiversityRecord | None,
) -> None:
    """Write what was made and what is kept, and put that into the run."""
    workspace = work.workspace
    path, spread = work.candidates_path, workspace.synthesis / DIVERSITY_FILE
    outputs = [path, workspace.synthetic, *([spread] if diversity is not None else [])]
    workspace.begin(STAGE, outputs)
    with atomic(path) as temporary:
        table.write_parquet(temporary, compression="zstd")
    with atomic(workspace.synthetic) as temporary:
        write_samples(kept, temporary)
    if diversity is not None:
        diversity.write(spread)
    else:
        spread.unlink(missing_ok=True)
    workspace.record(STAGE, record, outputs)
    reading = join_synthetic(workspace)
    if work.run.record.inputs != workspace.hashes([workspace.samples]):
        write_scores(work.run, reading)


def candidates_table(work: Work, candidates: Sequence[Candidate], sifted: Sifted) -> pl.DataFrame:
    """A row a candidate: what it was made from and by, what the model wrote, each filter's figure, and its fate."""
    figures = {f"{name}_figure": pl.Series(figures, dtype=pl.Float64) for name, figures in sifted.figures.items()}
    return candidates_frame(candidates, work.model, {one.generator: one.hash for one in work.prompts}).with_columns(
        sifted.scores,
        step=pl.Series(sifted.step_names, dtype=pl.String),
        reason=pl.Series(sifted.reasons, dtype=pl.String),
        kept=pl.Series([not reason for reason in sifted.reasons], dtype=pl.Boolean),
        **figures,
    )


def _nothing(sifted: Sifted, asked: int, where: Path) -> str:
    """Why nothing was kept: the step that left nothing, in its own words."""
    step = next((one for one in sifted.steps if one.before and not one.after), sifted.steps[-1])
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in list(step.reasons.items())[:3])
    remedy = f": {step.remedy}" if step.remedy else ""
    return (
        f"none of {asked:,} requests gave a sample that could be kept. The step {step.name} left nothing of "
        f"{step.before:,} ({reasons}){remedy}. {where} has them all"
    )
