"""The stage `synthesize`: from what a run lacks to synthetic samples in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from math import ceil
from pathlib import Path

import polars as pl

from efficient_empathy.dialogues import write_samples
from efficient_empathy.dialogues.sample import SAMPLE_SCHEMA, Sample
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.runner import SessionEnding
from efficient_empathy.modelling.generation.endpoint import EndpointGenerator
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.scoring.ingestion import join_synthetic
from efficient_empathy.synthesis.asking import ReplyStore, request_id
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.discriminator import Discriminator
from efficient_empathy.synthesis.diversity import DiversityRecord
from efficient_empathy.synthesis.embeddings import Embedder
from efficient_empathy.synthesis.generators import Request
from efficient_empathy.synthesis.judging import write_scores
from efficient_empathy.synthesis.record import (
    DIVERSITY_FILE,
    CellRecord,
    SynthesisPlan,
    SynthesisRecord,
    SynthesisResult,
)
from efficient_empathy.synthesis.settings import SynthesisSettings
from efficient_empathy.synthesis.sifting import Sifted, sift, thin
from efficient_empathy.synthesis.work import Work

STAGE = SynthesisRecord.STAGE
LEFT_OUT = "left-out.parquet"
"""The candidates of a call of which nothing could be kept."""
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

    Raises `UserError` for what the user can put right, and where nothing was kept: it names the step that left nothing.
    """
    console, settings = console or Console(stderr=True), settings or SynthesisSettings()
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        work = Work.prepare(workspace, model, settings, endpoint)
        last = workspace.last(STAGE, SynthesisRecord)
        outputs = [workspace.synthetic, workspace.synthesis / "candidates.parquet"]
        same = last is not None and work.same_as(last) and last.ending == "complete" and last.kept
        if last is not None and same and not force and workspace.whole(STAGE, *outputs):
            return SynthesisResult.of(last, skipped=True)
        return SynthesisResult.of(_synthesize(work, console, force=force))


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
    prompts = [work.requests.generators[one.generator].messages(one) for one in shown]
    size = sum(len(message["content"].encode()) for prompt in prompts for message in prompt) / len(prompts)
    prompt_tokens, completion_tokens = ceil(count * size / _BYTES_A_TOKEN), count * settings.max_new_tokens
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
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        behind_endpoint=endpoint is not None,
        cost_usd=cost,
        most_requests=settings.most_requests,
        example="\n\n".join(f"[{message['role']}]\n{message['content']}" for message in prompts[0]),
    )


def _synthesize(work: Work, console: Console, *, force: bool) -> SynthesisRecord:
    settings, generators = work.settings, work.requests.generators
    store = ReplyStore(work.replies_path, work.key, work.asker, anew=force)
    notes: list[str] = []
    embedder = Embedder()
    filters = work.filters(embedder, notes)
    discriminator = None
    if settings.discriminator is not None:
        discriminator = Discriminator(work.workspace, settings.discriminator, settings.likeness, embedder)
    enough = ceil(settings.samples / settings.diversity)
    stream, asked = iter(work.requests), list[Request]()
    ids: list[str] = []
    count = min(settings.pilot, settings.most_requests)
    ending: SessionEnding
    while True:
        new = list(islice(stream, count - len(asked)))
        asked += new
        ids += [request_id(one, generators[one.generator]) for one in new]
        ending = store.ask(ids, asked, generators, console)
        answered = [place for place, one in enumerate(ids) if one in store.replies.by_sample]
        candidates = [store.candidate(asked[p], ids[p], generators[asked[p].generator]) for p in answered]
        sifted = sift(candidates, filters, discriminator, work.judge, console)
        stay = len(sifted.places)
        ending = ending if ending != "complete" else sifted.ending
        console.print(f"{stay:,} of {len(asked):,} candidates come through so far; {enough:,} are wanted.")
        if ending != "complete" or stay >= enough or count >= settings.most_requests:
            break
        rate = max(stay, 1) / len(asked)
        count = min(settings.most_requests, _MOST_GROWTH * count, len(asked) + ceil((enough - stay) / rate))
    requests = [asked[place] for place in answered]
    subsets = sifted.scores["subset"] if work.judge else [one.subset for one in requests]
    cells = [(one.category, subset) for one, subset in zip(requests, subsets, strict=True)]
    wanted = {(cell.category, cell.subset): cell.wanted for cell in work.cells}
    real, share = work.material.real, settings.diversity
    diversity = thin(sifted, candidates, cells, wanted, real, share, settings.samples, embedder)
    counts = Counter(cells[place] for place in sifted.places)
    record = _record(work, store, len(candidates), sifted, counts, ending, notes, len(asked))
    table = candidates_table(work, requests, candidates, sifted)
    if record.kept:
        kept = [sample for place in sifted.places if (sample := candidates[place].sample) is not None]
        _keep(work, record, table, kept, diversity)
    elif ending == "complete":
        with atomic(work.workspace.synthesis / LEFT_OUT) as path:
            table.write_parquet(path, compression="zstd")
        raise UserError(_nothing(sifted, len(asked), work.workspace.synthesis / LEFT_OUT))
    return record


def _record(
    work: Work,
    store: ReplyStore,
    answered: int,
    sifted: Sifted,
    counts: Mapping[tuple[str | None, str], int],
    ending: SessionEnding,
    notes: list[str],
    asked: int,
) -> SynthesisRecord:
    """What was asked for, what came through and what is kept; `counts` has how many of each cell."""
    return SynthesisRecord(
        model=work.model,
        base_url=work.base_url,
        prompts=work.prompts,
        requests=asked,
        candidates=answered,
        steps=tuple(sifted.steps),
        cells=tuple(
            CellRecord(**cell.model_dump(), kept=counts.get((cell.category, cell.subset), 0)) for cell in work.cells
        ),
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


def _keep(
    work: Work,
    record: SynthesisRecord,
    table: pl.DataFrame,
    kept: Sequence[Sample],
    diversity: DiversityRecord | None,
) -> None:
    """Write what was made and what is kept, and put that into the run."""
    workspace = work.workspace
    path, spread = workspace.synthesis / "candidates.parquet", workspace.synthesis / DIVERSITY_FILE
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


def candidates_table(
    work: Work, requests: Sequence[Request], candidates: Sequence[Candidate], sifted: Sifted
) -> pl.DataFrame:
    """A row a candidate: what it was made from and by, what the model wrote, each filter's figure, and its fate."""
    hashes = {one.generator: one.hash for one in work.prompts}
    samples = [one.sample for one in candidates]
    return pl.DataFrame(
        {
            "sample_id": [sample.id if sample else None for sample in samples],
            "generator": [one.generator for one in candidates],
            "prompt": [hashes[one.generator] for one in candidates],
            "model": [work.model] * len(candidates),
            "seed_id": [one.seed.id if one.seed else None for one in candidates],
            "category": [one.category for one in requests],
            "for_subset": [one.subset for one in requests],
            "context": [[{"role": u.role, "text": u.text} for u in s.context] if s else None for s in samples],
            "response": [sample.response if sample else None for sample in samples],
            "reply": [one.reply for one in candidates],
            "step": sifted.step_names,
            "reason": sifted.reasons,
            **{f"{name}_figure": pl.Series(figures, dtype=pl.Float64) for name, figures in sifted.figures.items()},
        },
        schema_overrides={"category": pl.String, "context": SAMPLE_SCHEMA["context"], "response": pl.String,
                          "reply": pl.String, "sample_id": pl.String, "seed_id": pl.String},
    ).with_columns(sifted.scores, kept=pl.col("reason") == "")  # fmt: skip


def _nothing(sifted: Sifted, asked: int, where: Path) -> str:
    """Why nothing was kept: the step that left nothing, in its own words."""
    step = next((one for one in sifted.steps if one.before and not one.after), sifted.steps[-1])
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in list(step.reasons.items())[:3])
    remedy = f": {step.remedy}" if step.remedy else ""
    return (
        f"none of {asked:,} requests gave a sample that could be kept. The step {step.name} left nothing of "
        f"{step.before:,} ({reasons}){remedy}. {where} has them all"
    )
