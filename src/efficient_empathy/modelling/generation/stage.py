"""The stage `generate`: from a model and contexts to responses on disk."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.runner import Ending
from efficient_empathy.modelling.generation.choice import BACKENDS, choose_backend
from efficient_empathy.modelling.generation.contract import Reply
from efficient_empathy.modelling.generation.endpoint import EndpointGenerator
from efficient_empathy.modelling.generation.job import Job, plan_job
from efficient_empathy.modelling.generation.journal import Journal, Kept
from efficient_empathy.modelling.generation.output import finished, write
from efficient_empathy.modelling.generation.progress import GenerationProgress
from efficient_empathy.modelling.generation.settings import EndpointOptions, GenerationSettings

REASONS_SHOWN = 3


def generate(
    workspace: Workspace | None,
    model: str,
    settings: GenerationSettings | None = None,
    *,
    name: str | None = None,
    endpoint: EndpointOptions | None = None,
    source: str | Path | None = None,
    output: Path | None = None,
    console: Console | None = None,
    force: bool = False,
    **reading: Any,
) -> dict[str, Any]:
    """Let `model` respond to a part of a run's samples, or to a `source`; write the responses in the samples' order.

    `model` is base, one of the run's (sensibility, average, moe …), a folder, a name of the hub, or with `endpoint` a
    model there. Responses go to `generations/<name>.parquet` of the run, or to `output` (needed with `source`; .parquet
    or .jsonl), with a .json of the same name beside it. `reading` are the options of `dialogues.read`.

    Replies are kept as they come: after Ctrl-C or a kill the same call asks only for what is missing. Skipped when
    model, prompts and decoding are those of the last time and no reply is missing, unless `force`.

    Returns what the .json has (see `job.Job.record`), with `output`, `finish_reasons`, `reasons` (the most frequent of
    failure), `ending` (complete, stopped, budget), `answered` and `skipped`. Raises `UserError` for what the user can
    put right; what was answered until then is kept.
    """
    console = console or Console(stderr=True)
    settings = settings or GenerationSettings()
    if (source is None) != (output is None):
        raise UserError("--source needs -o FILE for the responses, and -o FILE goes with --source")
    if source is None and workspace is None:
        raise UserError("nothing to respond to: give --run RUN, or --source FILE with -o FILE")
    if workspace is None:
        held: Any = nullcontext()
    else:
        root = workspace.root
        held = workspace.lock(lambda: console.print(f"Another process is working on {root}; waiting for it."))
    with held:
        job = plan_job(workspace, model, settings, name, endpoint, source, output, reading)
        return _generate(job, workspace, console, force=force)


def _generate(job: Job, workspace: Workspace | None, console: Console, *, force: bool) -> dict[str, Any]:
    journal = Journal(job.output.with_name(f".{job.output.stem}.partial.jsonl"), job.key)
    before, told = finished(job.output, job.key)
    journalled = journal.read()
    spent = journalled.cost_usd or told.get("cost_usd", 0.0)
    kept = Kept(cost_usd=spent) if force else _both(before, journalled, spent, retry=job.endpoint is not None)
    done = {i for i, sample_id in enumerate(job.ids) if sample_id in kept.replies}
    unchanged = before.replies and not journalled.replies and told.get("asked") == job.asked
    if not force and unchanged and len(done) == len(job.ids):
        return _result(job, kept, told, "complete", skipped=True)
    job.backend = "endpoint" if job.endpoint else choose_backend(job.settings)
    ending: Ending = "complete"
    if len(done) < len(job.ids):
        with journal.open(anew=force or not journal.holds_ours):
            if spent:
                journal.commit_usd(spent)
            ending = _answer(job, journal, kept, done, console)
    record = job.record() | _rate(job, kept) | {"cost_usd": round(kept.cost_usd, 6)}
    if ending == "complete":
        write(job, kept, record)
        journal.remove()
        if workspace is not None and job.inputs:
            workspace.record(f"generate:{job.name}", record | job.manifest())
    return _result(job, kept, record, ending, skipped=False)


def _both(before: Kept, journalled: Kept, spent: float, *, retry: bool) -> Kept:
    """What the last file and the journal hold together, but for failures where another try may help."""
    replies = before.replies | journalled.replies
    good = {i: reply for i, reply in replies.items() if not (retry and reply.finish_reason == "error")}
    return Kept(good, before.seconds + journalled.seconds, spent)


def _answer(job: Job, journal: Journal, kept: Kept, done: set[int], console: Console) -> Ending:
    progress = GenerationProgress(console, job.name, len(job.ids), len(done))
    since = time.monotonic()

    def keep(replies: list[Reply]) -> None:
        nonlocal since
        now = time.monotonic()
        ids = [job.ids[reply.prompt] for reply in replies]
        journal.append(ids, replies, now - since)
        kept.replies.update(zip(ids, replies, strict=True))
        kept.seconds += now - since
        since = now
        progress.update(replies)

    try:
        if job.endpoint is not None:
            return _ask(job, job.endpoint, journal, kept, done, keep, progress, console)
        generator = BACKENDS[choose_backend(job.settings)](job.target.path, job.settings)
        with progress:
            for replies in generator.generate(job.prompts, frozenset(done)):
                keep(replies)
    except KeyboardInterrupt:
        return "stopped"
    except UserError as error:
        remains = f"{len(kept.replies):,} of {len(job.ids):,} responses are kept; the same command goes on from there"
        raise UserError(f"{error} ({remains}.)") from error
    return "complete"


def _ask(
    job: Job,
    endpoint: EndpointOptions,
    journal: Journal,
    kept: Kept,
    done: set[int],
    keep: Callable[[list[Reply]], None],
    progress: GenerationProgress,
    console: Console,
) -> Ending:
    generator = EndpointGenerator.load(
        job.model, job.settings, endpoint, spent_usd=kept.cost_usd, journal=journal.commit_usd
    )
    try:
        with progress:
            return generator.run(job.prompts, done, keep, console)
    finally:
        kept.cost_usd = generator.endpoint.budget.spent_usd


def _rate(job: Job, kept: Kept) -> dict[str, Any]:
    tokens = sum(reply.completion_tokens for reply in kept.replies.values())
    rate = round(tokens / kept.seconds, 1) if kept.seconds else None
    return {"seconds": round(kept.seconds, 3), "tokens_per_second": rate}


def _result(job: Job, kept: Kept, record: dict[str, Any], ending: Ending, *, skipped: bool) -> dict[str, Any]:
    replies = [kept.replies[i] for i in job.rows if i in kept.replies]
    reasons = Counter(reply.reason for reply in replies if reply.reason)
    finish = Counter(reply.finish_reason for reply in replies)
    return {
        **{key: value for key, value in record.items() if key not in ("key", "asked", "failures")},
        "answered": len(replies),
        "finish_reasons": {reason: finish[reason] for reason in ("stop", "length", "error")},
        "reasons": dict(reasons.most_common(REASONS_SHOWN)),
        "output": str(job.output),
        "ending": ending,
        "skipped": skipped,
    }
