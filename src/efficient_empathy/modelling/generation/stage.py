"""The stage `generate`: from a model and contexts to responses on disk."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any, get_args

from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.llm.runner import Ending
from efficient_empathy.modelling.generation.asking import Asker
from efficient_empathy.modelling.generation.backends import FinishReason
from efficient_empathy.modelling.generation.job import Job, plan_job
from efficient_empathy.modelling.generation.record import GenerateRecord, Generation, GenerationRecord, GenerationResult
from efficient_empathy.modelling.generation.replies import Journal, Replies, read_output, write
from efficient_empathy.modelling.generation.settings import EndpointOptions, GenerationSettings
from efficient_empathy.modelling.training.record import TemplateRecord

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
    reading: ReadingSettings | None = None,
    console: Console | None = None,
    force: bool = False,
) -> GenerationResult:
    """Let `model` respond to a part of a run's samples, or to a `source`; write the responses in the samples' order.

    `model` is base, one of the run's (an expert's name, average, moe), a folder, a name of the hub, or with `endpoint`
    a model there. Responses go to `generations/<name>.parquet` of the run, or to `output` (.parquet, needed with
    `source`), with a .json of the same name beside it. `reading` says how `source` is read.

    Replies are kept as they come: after Ctrl-C or a kill the same call asks only for what is missing. Skipped when
    model, prompts and decoding are those of the last time and no reply is missing or has changed, unless `force`.

    Raises `UserError` for what the user can put right; what was answered until then is kept.
    """
    console = console or Console(stderr=True)
    settings = settings or GenerationSettings()
    if (source is None) != (output is None):
        raise UserError("--source needs -o FILE for the responses, and -o FILE goes with --source")
    if source is None and workspace is None:
        raise UserError("nothing to respond to: give --run RUN, or --source FILE with -o FILE")
    if workspace is None:
        lock: Any = nullcontext()
    else:
        root = workspace.root
        lock = workspace.lock(lambda: console.print(f"Another process is working on {root}; waiting for it."))
    with lock:
        job = plan_job(workspace, model, settings, name, endpoint, source, output, reading)
        return _generate(job, workspace, console, force=force)


def _generate(job: Job, workspace: Workspace | None, console: Console, *, force: bool) -> GenerationResult:
    journal = Journal(job.output.with_name(f".{job.output.stem}.partial.jsonl"), job.key)
    before, earlier = read_output(job.output, job.key)
    journalled = journal.read()
    spent_usd = journalled.cost_usd or (earlier.cost_usd if earlier else 0.0)
    replies = (
        Replies(cost_usd=spent_usd)
        if force
        else _merge_replies(before, journalled, spent_usd, retry=job.endpoint is not None)
    )
    done = {i for i, sample_id in enumerate(job.ids) if sample_id in replies.by_sample}
    stage, outputs = f"{GenerateRecord.STAGE}:{job.name}", [job.output, job.output.with_suffix(".json")]
    of_run = workspace if job.inputs else None
    unchanged = earlier is not None and earlier.rows == job.rows_hash and before.by_sample and not journalled.by_sample
    whole = earlier is not None and len(done) == len(job.ids) and _is_intact(job.output, earlier)
    if not force and earlier and unchanged and whole and (of_run is None or of_run.whole(stage, *outputs)):
        if of_run is not None:
            _renew(of_run, stage, job, earlier)
        return _result(job, replies, earlier, "complete", skipped=True)
    asker = Asker(job.name, job.model, job.target.path, job.settings, job.endpoint)
    job.backend = asker.backend
    ending: Ending = "complete"
    if len(done) < len(job.ids):
        with journal.open(anew=force or not journal.holds_ours):
            if spent_usd:
                journal.commit_usd(spent_usd)
            ending = asker.ask(job.ids, job.prompts, done, journal, replies, console)
    record = _record(job, replies)
    if ending == "complete":
        if of_run is not None:
            of_run.begin(stage, outputs)
        write(job.output, job.rows, replies, record)
        journal.remove()
        if of_run is not None:
            of_run.record(stage, _stage_record(job, record), outputs)
    return _result(job, replies, record, ending, skipped=False)


def _record(job: Job, replies: Replies) -> GenerationRecord:
    tokens = sum(reply.completion_tokens for reply in replies.by_sample.values())
    return GenerationRecord(
        model=job.name,
        label=job.target.label,
        path=str(job.target.path),
        template=TemplateRecord.of(job.template),
        decoding=job.settings.decoding,
        part=job.part,
        samples=len(job.rows),
        backend=job.backend,
        seconds=round(replies.seconds, 3),
        tokens_per_second=round(tokens / replies.seconds, 1) if replies.seconds else None,
        cost_usd=round(replies.cost_usd, 12),
        key=job.key,
        rows=job.rows_hash,
    )


def _stage_record(job: Job, record: GenerationRecord) -> GenerateRecord:
    return GenerateRecord(
        **_generation(record),
        key=record.key,
        rows=record.rows,
        parameters=job.settings.model_dump(),
        inputs={**job.inputs, "model": job.identity},
    )


def _renew(workspace: Workspace, stage: str, job: Job, record: GenerationRecord) -> None:
    """Record that the responses are those to what went in now, which is not as it was."""
    last = workspace.last(stage, GenerateRecord)
    if last is None or last.inputs != {**job.inputs, "model": job.identity}:
        workspace.record(stage, _stage_record(job, record))


def _generation(record: GenerationRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in Generation.model_fields}


def _is_intact(output: Path, record: GenerationRecord) -> bool:
    return output.exists() and file_hash(output) == record.sha256


def _merge_replies(before: Replies, journalled: Replies, spent_usd: float, *, retry: bool) -> Replies:
    """What the last file and the journal hold together, but for failures where another try may help."""
    every = before.by_sample | journalled.by_sample
    good = {i: reply for i, reply in every.items() if not (retry and reply.finish_reason == "error")}
    return Replies(good, before.seconds + journalled.seconds, spent_usd)


def _result(job: Job, replies: Replies, record: GenerationRecord, ending: Ending, *, skipped: bool) -> GenerationResult:
    answers = [replies.by_sample[i] for i in job.rows if i in replies.by_sample]
    reasons = Counter(reply.reason for reply in answers if reply.reason)
    finish = Counter(reply.finish_reason for reply in answers)
    return GenerationResult(
        **_generation(record),
        answered=len(answers),
        finish_reasons={reason: finish[reason] for reason in get_args(FinishReason)},
        reasons=dict(reasons.most_common(REASONS_SHOWN)),
        output=str(job.output),
        ending=ending,
        skipped=skipped,
    )


def summary(result: GenerationResult) -> str:
    """What was answered, how it ended, and what to do next."""
    rate = f", {result.tokens_per_second:,.0f} tokens/s" if result.tokens_per_second else ""
    unchanged = " (nothing had changed)" if result.skipped else ""
    lines = [
        f"{result.label}: {result.answered:,} of {result.samples:,} responses, template {result.template.name}, "
        f"{result.backend}{rate}{unchanged}."
    ]
    finish = result.finish_reasons
    if finish["length"]:
        limit = result.decoding["max_new_tokens"]
        lines.append(f"  {finish['length']:,} were cut off after {limit} tokens: --max-new-tokens sets the limit")
    lines += [f"  {count:,} × {reason}" for reason, count in result.reasons.items()]
    if result.cost_usd:
        lines.append(f"  ${result.cost_usd:.4f} in all")
    if result.ending == "stopped":
        lines.append("Stopped. Run the same command again to go on.")
    elif result.ending == "budget":
        lines.append("The budget ends here. A higher --max-cost goes on.")
    else:
        if finish["error"] and result.backend == "endpoint":
            lines.append("Run the same command again to retry what failed.")
        lines.append(f"The responses: {result.output}")
    return "\n".join(lines)
