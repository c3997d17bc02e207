"""What a proof found (`synthesis/proof.json`), and how it is told."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import JsonValue

from efficient_empathy.foundation.figures.formatting import fixed, plural, signed
from efficient_empathy.foundation.run.record import Estimate, Number, Part, Record, StageRecord
from efficient_empathy.synthesis.settings import SynthesisSettings

PROOF_FILE = "proof.json"
REAL, SYNTHETIC = "real only", "real + synthetic"
MORE_REAL, RANDOM = "real + as many more real", "real + random synthetic"
ARMS = (REAL, SYNTHETIC, MORE_REAL, RANDOM)
Verdict = Literal["helps", "does not help", "cannot be told"]
DIGITS = 4
_WORTH: dict[Verdict, str] = {
    "helps": "They are worth more than {}.",
    "does not help": "They are worth less than {}.",
    "cannot be told": "They cannot be told from {}.",
}


class ArmRecord(Part):
    """One arm: the same training on other samples, once a seed."""

    name: str
    samples: tuple[int, ...]
    """By seed, those that it was trained on."""
    losses: tuple[Number, ...]
    """By seed: nats a response token of the held-out samples."""
    loss: Number
    """Their mean."""
    difference: Estimate | None = None
    """By how much it is above that of the real samples alone, with a 95 % interval; None for these."""

    @property
    def size(self) -> str:
        """Its samples, a range where seeds differ."""
        low, high = min(self.samples), max(self.samples)
        return f"{low:,}" if low == high else f"{low:,}–{high:,}"


class Proof(Part):
    """Models that differ in nothing but their samples, and how they do on real samples that none has seen."""

    arms: tuple[ArmRecord, ...]
    seeds: tuple[int, ...]
    steps: int
    """Optimiser steps of every training."""
    base: str
    """The folder or the hub name of what every arm starts from."""
    held_out: int
    """Real samples that the losses are of."""
    dialogues: int
    """Of these; intervals are over dialogues and seeds."""
    synthetic: int
    """Synthetic samples that took part; as many real ones were held back for the arm with more real ones."""
    verdict: Verdict
    """Whether synthetic samples beside the real ones lower the loss: what the whole interval says."""
    against: dict[str, Estimate]
    """By how much real + synthetic is above each arm with as many samples."""
    notes: tuple[str, ...] = ()

    @property
    def base_name(self) -> str:
        """What the base is called: its folder's name, or that of the hub."""
        return Path(self.base).name if Path(self.base).is_absolute() else self.base

    @property
    def sentences(self) -> list[str]:
        """The verdict in words, and what follows from the other arms."""
        by_name = {arm.name: arm for arm in self.arms}
        gain = by_name[SYNTHETIC].difference
        assert gain is not None  # the arm is not that of real samples alone
        first = {
            "helps": f"The synthetic samples help: with them the held-out loss is lower, by {_gap(gain)}.",
            "does not help": f"The synthetic samples do not help: with them the held-out loss is higher, by "
            f"{_gap(gain)}.",
            "cannot be told": "Whether the synthetic samples help cannot be told: with them the held-out loss differs "
            f"by {interval_text(gain)} nats a token. More samples, seeds or held-out dialogues would tell more.",
        }[self.verdict]
        others = {MORE_REAL: "as many more real samples", RANDOM: "as many random ones from before the filters"}
        return [first, *(_WORTH[verdict_of(self.against[arm])].format(words) for arm, words in others.items())]


class ProofResult(Proof):
    """What `synthesize --prove` found, and whether it was there already."""

    skipped: bool

    @classmethod
    def of(cls, record: ProofRecord, *, skipped: bool) -> ProofResult:
        """The result that a record stands for."""
        return cls(**{name: getattr(record, name) for name in Proof.model_fields}, skipped=skipped)


class ProofRecord(Record, Proof):
    """What `synthesize --prove` found."""

    PLACE: ClassVar[str] = f"synthesis/{PROOF_FILE}"
    REMEDY: ClassVar[str] = "`efficient-empathy synthesize --prove`"

    settings: dict[str, JsonValue]
    """How every arm was trained, but for the seed."""
    base_hash: str
    template_hash: str
    models: dict[str, str]
    """By arm and seed the folder in `synthesis/proof/` that has each held-out response's loss."""
    inputs: dict[str, str]
    """SHA-256 by path of the run's files that the synthetic samples were read from."""


class ProveRecord(StageRecord):
    """The stage `prove`; the rest is in `synthesis/proof.json`."""

    STAGE: ClassVar[str] = "prove"
    REMEDY: ClassVar[str] = ProofRecord.REMEDY

    model: str
    """Who wrote the synthetic samples."""
    base_url: str | None = None
    parameters: SynthesisSettings
    """Of the synthesis and the proof."""
    models: dict[str, str]
    inputs: dict[str, str]
    """As in the proof, which is the same while both are."""
    seconds: float


def verdict_of(difference: Estimate) -> Verdict:
    """What a difference in loss says: lower is better, where the whole interval is."""
    low, high = difference.interval or (-1.0, 1.0)
    return "helps" if high < 0 else "does not help" if low > 0 else "cannot be told"


def interval_text(difference: Estimate) -> str:
    """A difference with its interval: "−0.0123 (−0.0200 to −0.0045)"."""
    if difference.interval is None:
        return signed(difference.value, DIGITS)
    low, high = (signed(end, DIGITS) for end in difference.interval)
    return f"{signed(difference.value, DIGITS)} ({low} to {high})"


def proof_text(proof: Proof) -> str:
    """The proof as a table, with what it says in a sentence."""
    width = max(len(arm.name) for arm in proof.arms)
    lines = [
        f"Four arms on {proof.base_name}, {plural(len(proof.seeds), 'seed')} and {plural(proof.steps, 'step')} each, "
        f"measured on {plural(proof.held_out, 'held-out real sample')} of {plural(proof.dialogues, 'dialogue')}:",
        f"  {'':<{width}}  {'samples':>13}  {'nats a token':>12}  above {REAL}, 95 % interval",
    ]
    for arm in proof.arms:
        difference = interval_text(arm.difference) if arm.difference else ""
        lines.append(f"  {arm.name:<{width}}  {arm.size:>13}  {fixed(arm.loss, DIGITS):>12}  {difference}".rstrip())
    return "\n".join([*lines, *proof.sentences, *(f"Note: {note}" for note in proof.notes)])


def _gap(difference: Estimate) -> str:
    """How far two losses are apart, whatever the sign, with its interval."""
    assert difference.value is not None
    assert difference.interval is not None
    low, high = sorted(abs(end) for end in difference.interval)
    text = f"{fixed(low, DIGITS)} to {fixed(high, DIGITS)}"
    return f"{fixed(abs(difference.value), DIGITS)} nats a token (95 % interval {text})"
