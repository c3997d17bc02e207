"""What the manifest keeps of a synthesis, what it returns, and both in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from efficient_empathy.foundation.errors import shell
from efficient_empathy.foundation.figures.formatting import plural
from efficient_empathy.foundation.run.record import Part, StageRecord
from efficient_empathy.llm.runner import SessionEnding
from efficient_empathy.synthesis.diversity import DiversityRecord, diversity_table
from efficient_empathy.synthesis.plan import Cell, by_name
from efficient_empathy.synthesis.proof.record import ProofResult, proof_text
from efficient_empathy.synthesis.settings import SynthesisSettings

CANDIDATES_FILE, DIVERSITY_FILE = "candidates.parquet", "diversity.json"


class CellRecord(Cell):
    """A cell, and what was kept in it: a sample counts where the policy put it, not where it was meant for."""

    kept: int = 0


class StepRecord(Part):
    """One step that candidates came through: how many came, how many were left, and why the others went."""

    name: str
    before: int
    after: int
    reasons: dict[str, int] = Field(default_factory=dict)
    remedy: str = ""
    """What a user changes where it lets too few pass."""


class PromptRecord(Part):
    """What a generator asked by."""

    generator: str
    name: str
    version: int
    hash: str


class MakerRecord(Part):
    """A generator: how many candidates it made, and how many of them are kept."""

    generator: str
    candidates: int
    kept: int


class Synthesis(Part):
    """What was asked for, what came through, and what was kept."""

    model: str
    """The generating model's name; of one behind an endpoint the name there."""
    base_url: str | None = None
    """Where the endpoint is; None for a model in this process."""
    prompts: tuple[PromptRecord, ...]
    requests: int
    """Samples asked for."""
    candidates: int
    """Those that were answered."""
    steps: tuple[StepRecord, ...]
    """The filters, the judge and the thinning, in order."""
    makers: tuple[MakerRecord, ...]
    cells: tuple[CellRecord, ...]
    kept: int
    real: int
    """Real samples in the run's training part."""
    cost_usd: float
    """Of the generating model, earlier calls included."""
    judge_cost_usd: float
    """Of the judge, in this call."""
    seconds: float
    """Of the generating model."""
    ending: SessionEnding
    notes: tuple[str, ...] = ()


class SynthesisRecord(StageRecord, Synthesis):
    """What `synthesize` did."""

    STAGE: ClassVar[str] = "synthesize"
    REMEDY: ClassVar[str] = "`efficient-empathy synthesize`"

    parameters: SynthesisSettings
    identity: str
    """What the generating model is: a hash, or of one behind an endpoint its name and address."""
    inputs: dict[str, str]
    """SHA-256 of what the plan was made from, and of test files."""


class SynthesisResult(Synthesis):
    """What `synthesize` did, and whether nothing had to be done."""

    skipped: bool = False
    proof: ProofResult | None = None
    """Whether they help, where that was asked for."""

    @classmethod
    def of(cls, record: SynthesisRecord, *, skipped: bool = False) -> SynthesisResult:
        """The result that a record stands for."""
        return cls(**{name: getattr(record, name) for name in Synthesis.model_fields}, skipped=skipped)


class SynthesisPlan(Part):
    """What `synthesize` would do. Requests are an estimate: how many come through is known after a pilot."""

    dry_run: bool = True
    model: str
    samples: int
    real: int
    cells: tuple[Cell, ...]
    survival: float
    """The share of requests of which a sample is expected to be kept."""
    survival_is_known: bool
    """Whether an earlier call with the same model and prompts has shown it."""
    requests: int
    calls: int
    """Of the model: a role play takes one a line."""
    prompt_tokens: int
    """An estimate, four bytes each."""
    completion_tokens: int
    """At most."""
    behind_endpoint: bool
    cost_usd: float | None
    """None where the model's price is not known; 0 for one in this process."""
    most_requests: int
    example: str
    """The first prompt."""


def plan_text(plan: SynthesisPlan) -> str:
    """The plan in words."""
    lines = [
        f"The run has {plan.real:,} real samples to train on; {plan.samples:,} synthetic ones go where it is thin:",
        *cells_table(plan.cells),
    ]
    known = "as in the last call" if plan.survival_is_known else "a guess: a pilot tells"
    lines.append(
        f"About {plan.requests:,} requests to {plan.model}, if {plan.survival:.0%} of them give a sample that is kept "
        f"({known}); at most {plan.most_requests:,}."
    )
    price = ": its price is not known" if plan.cost_usd is None else f": about ${plan.cost_usd:.2f}"
    if plan.calls > plan.requests:
        lines.append(f"They take about {plan.calls:,} calls, as a role play takes one a line.")
    tokens = f"{plan.prompt_tokens:,} prompt tokens and at most {plan.completion_tokens:,} completion tokens"
    lines.append(f"About {tokens}{price if plan.behind_endpoint else ''}.")
    return "\n".join([*lines, "Nothing was sent. The first prompt:", "", plan.example])


def cells_table(cells: Sequence[Cell], most: int = 12) -> list[str]:
    """The cells that lack most, a line for all that differ only in their subset: what is there, wanted, and kept."""
    subsets = list(dict.fromkeys(cell.subset for cell in cells))
    groups = sorted(by_name(cells).items(), key=lambda group: -sum(cell.wanted for cell in group[1]))
    shown = [group for group in groups if any(cell.wanted for cell in group[1])]
    width = max([12, *(len(name) for name, _ in shown[:most])])
    head = "  " + " " * width + "".join(f"  {subset:>22}" for subset in subsets)
    lines = [head]
    for name, group in shown[:most]:
        by_subset = {cell.subset: cell for cell in group}
        lines.append(f"  {name:<{width}}" + "".join(f"  {_cell_text(by_subset.get(one)):>22}" for one in subsets))
    if len(shown) > most:
        lines.append(f"  and {plural(len(shown) - most, 'more line')}")
    return lines


def makers_text(makers: Sequence[MakerRecord]) -> str:
    """How many of its candidates each generator's are kept."""
    return ", ".join(f"{one.generator} {one.kept:,} of {one.candidates:,}" for one in makers)


def _cell_text(cell: Cell | None) -> str:
    if cell is None:
        return ""
    kept = f", kept {cell.kept:,}" if isinstance(cell, CellRecord) else ""
    return f"{cell.real:,} + {cell.wanted:,}{kept}"


def summary(result: SynthesisResult, run: Path) -> str:
    """The result in words, with what to do next."""
    unchanged = " (nothing had changed)" if result.skipped else ""
    lines = [
        f"{plural(result.kept, 'synthetic sample')} by {result.model}, of {result.requests:,} requests{unchanged}:"
    ]
    width = max(len(step.name) for step in result.steps)
    for step in result.steps:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in list(step.reasons.items())[:3])
        more = f" and {len(step.reasons) - 3} more reasons" if len(step.reasons) > 3 else ""
        lines.append(f"  {step.name:<{width}}  {step.after:>7,} of {step.before:>7,}  {reasons}{more}".rstrip())
    if len(result.makers) > 1:
        lines.append(f"Kept by generator: {makers_text(result.makers)}.")
    by = " and ".join([*result.cells[0].values, "subset"]) if result.cells else "subset"
    lines += [f"By {by}, real + wanted:", *cells_table(result.cells)]
    diversity = DiversityRecord.read_if_there(run / "synthesis" / DIVERSITY_FILE)
    if diversity is not None:
        lines += ["Diversity of what came through, of what was kept, and of as many at random:"]
        lines += [f"  {line}" for line in diversity_table(diversity)]
    if result.cost_usd or result.judge_cost_usd:
        lines.append(
            f"${result.cost_usd:.4f} for the generating model in all, ${result.judge_cost_usd:.4f} for the judge."
        )
    lines += [f"Note: {note}" for note in result.notes]
    if result.ending == "stopped":
        lines.append("Stopped. Run the same command again to go on.")
    elif result.ending == "budget":
        lines.append("The budget ends here. A higher --max-cost goes on.")
    if result.proof is not None:
        lines.append(proof_text(result.proof))
    if result.kept:
        lines.append(f"Next: efficient-empathy select --run {shell(run)}   (--synthetic-share limits their part)")
    return "\n".join(lines)
