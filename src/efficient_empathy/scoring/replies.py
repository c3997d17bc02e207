"""The raw replies of a run's judges beside the samples that they are about, to see why a reply has no scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field

from efficient_empathy.dialogues import Sample, scan_samples
from efficient_empathy.foundation.errors import UserError, shell
from efficient_empathy.foundation.run.record import Part
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.settings import Settings
from efficient_empathy.scoring.judges.contract import STATES, Judgement, JudgeSpec, State
from efficient_empathy.scoring.ledger import Ledger

CHUNK = 1024
RULE = "─" * 72
UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}
UNPRINTABLE |= {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""What could steer a terminal: replies and dialogues are other people's text."""


class RepliesSettings(Settings):
    """Which replies are shown."""

    state: State | None = None
    """Those in this state alone; all of them by default."""
    judge: str | None = None
    """Those of the judge or model of this name alone; of all judges by default."""
    limit: int = Field(default=10, ge=0)
    """As many at most; 0 for all."""


class Turn(Part):
    """One turn of a context."""

    role: str
    text: str


class Reply(Part):
    """A judge's last word on a sample: its `ok` judgement, else its last failure."""

    id: str
    context: tuple[Turn, ...]
    response: str
    judge: str
    round: int
    state: State
    reason: str
    raw: str
    """As it came; empty where nothing came."""
    scores: dict[str, float]


class RepliesResult(Part):
    """What a run's judges replied."""

    run: str
    states: dict[str, int]
    """All that fit `judge`, by state."""
    total: int
    """How many fit `state` and `judge`; `replies` are the first of them, in the order of the samples."""
    replies: tuple[Reply, ...]


def replies(workspace: Workspace, settings: RepliesSettings | None = None) -> RepliesResult:
    """The replies of every judge and round that the ledger holds on the run's samples.

    Raises `UserError` where the run has no ledger or no samples, or no such judge.
    """
    settings = settings or RepliesSettings()
    for path in (workspace.ledger, workspace.samples):
        if not path.exists():
            raise UserError(
                f"{workspace.root} holds no replies ({path.name} is missing): "
                f"`efficient-empathy score SOURCE --run {shell(workspace.root)}` makes it"
            )
    workspace.require(workspace.samples, "score SOURCE")
    with Ledger(workspace.ledger, read_only=True) as ledger:
        specs = _specs(ledger, settings.judge, workspace)
        states: dict[str, int] = dict.fromkeys(STATES, 0)
        shown: list[Reply] = []
        for samples in _distinct(workspace):
            wanted: dict[JudgeSpec, list[str]] = {}
            for spec in specs:
                own = ledger.states(spec, list(samples))
                for identity in samples:
                    if (state := own.get(identity)) is not None:
                        states[state] += 1
                        if settings.state in (None, state):
                            wanted.setdefault(spec, []).append(identity)
            if not settings.limit or len(shown) < settings.limit:
                shown += _replies(ledger, samples, wanted)
    shown = shown[: settings.limit or None]
    total = sum(states.values()) if settings.state is None else states[settings.state]
    return RepliesResult(run=str(workspace.root), states=states, total=total, replies=tuple(shown))


def _specs(ledger: Ledger, judge: str | None, workspace: Workspace) -> list[JudgeSpec]:
    """The judges of the ledger, or those of that name."""
    specs = ledger.specs()
    names = {spec: {spec.judge, str(spec.settings.get("model", spec.judge))} for spec in specs}
    chosen = [spec for spec in specs if judge is None or judge in names[spec]]
    if judge is not None and not chosen:
        every = ", ".join(sorted({name for own in names.values() for name in own})) or "none at all"
        raise UserError(f"{workspace.root} has no replies of {judge}: it has those of {every}")
    return chosen


def _distinct(workspace: Workspace) -> Iterator[dict[str, Sample]]:
    """The run's samples by their id, each once, in the order of the file, in parts."""
    seen: set[str] = set()
    for chunk in scan_samples(workspace.samples, CHUNK):
        samples = {sample.id: sample for sample in chunk if sample.id not in seen}
        seen |= samples.keys()
        yield samples


def _replies(ledger: Ledger, samples: Mapping[str, Sample], wanted: Mapping[JudgeSpec, list[str]]) -> list[Reply]:
    """What is wanted of these samples, those of all judges on one sample together."""
    latest = {spec: ledger.latest(spec, ids) for spec, ids in wanted.items()}
    return [
        _reply(sample, spec, judgements[identity])
        for identity, sample in samples.items()
        for spec, judgements in latest.items()
        if identity in judgements
    ]


def _reply(sample: Sample, spec: JudgeSpec, judgement: Judgement) -> Reply:
    return Reply(
        id=sample.id,
        context=tuple(Turn(role=turn.role, text=turn.text) for turn in sample.context),
        response=sample.response,
        judge=judgement.judge,
        round=spec.round,
        state=judgement.state,
        reason=judgement.reason,
        raw=judgement.raw,
        scores=dict(judgement.scores),
    )


def summary(result: RepliesResult) -> str:
    """The replies, to be read in a terminal."""
    counts = ", ".join(f"{count:,} {state}" for state, count in result.states.items() if count) or "none"
    shown = f"{len(result.replies):,} of {result.total:,} shown"
    rest = "." if len(result.replies) == result.total else ", --limit 0 for all."
    lines = [f"Replies of {result.run}: {counts}; {shown}{rest}"]
    for reply in result.replies:
        lines += [RULE, *_lines(reply)]
    return "\n".join(lines)


def _lines(reply: Reply) -> Iterator[str]:
    rounds = f", round {reply.round}" if reply.round > 1 else ""
    scores = ", ".join(f"{axis} {score:g}" for axis, score in reply.scores.items())
    yield f"{reply.id}  {reply.judge}{rounds}"
    yield f"{reply.state}: {_printable(reply.reason) or scores or 'no reason given'}"
    for turn in (*reply.context, Turn(role="listener", text=reply.response)):
        yield _block(f"{turn.role.capitalize()}: ", turn.text)
    yield _block("Reply: ", reply.raw) if reply.raw else "Reply: none in words"


def _block(label: str, text: str) -> str:
    """Text behind its label, its further lines indented."""
    return label + _printable(text.rstrip()).replace("\n", "\n    ")


def _printable(text: str) -> str:
    return text.translate(UNPRINTABLE)
