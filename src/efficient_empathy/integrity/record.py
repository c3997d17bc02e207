"""What `check` says of a run."""

from __future__ import annotations

from efficient_empathy.foundation.run.corrections import CorrectionCounts
from efficient_empathy.foundation.run.record import Part


class Problem(Part):
    """One thing that is wrong."""

    stage: str
    """Whose it is; empty for what is no stage's."""
    path: str
    """The file or folder, from the run's folder on."""
    fault: str
    """What is wrong with it, to follow its name."""
    remedy: str
    """The command to run, or in words what else puts it right."""

    def text(self) -> str:
        """The same as a sentence."""
        remedy = f"run `{self.remedy}`" if self.remedy.startswith("efficient-empathy ") else self.remedy
        return f"{self.path} {self.fault}: {remedy}"


class CheckResult(Part):
    """A run, whether it is whole, and what was looked at."""

    run: str
    whole: bool
    stages: int
    """Those that the manifest knows."""
    files: int
    """Files that were read and compared with the manifest."""
    bytes: int
    """What these hold."""
    judgements: int
    """Rows of all ledgers."""
    corrections: CorrectionCounts | None = None
    """What people have corrected; None where they have corrected nothing."""
    problems: tuple[Problem, ...]
    """In the order in which they are to be put right."""
    notes: tuple[str, ...] = ()
    """What one should know, and what is no fault."""
