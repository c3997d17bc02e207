"""What commands and workers that were killed on a cluster have left in a run, and how the ledger takes it in."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from efficient_empathy.scoring.judges.contract import Judgement, JudgeSpec
from efficient_empathy.scoring.ledger.journal import FOLDER, journals, read_journal
from efficient_empathy.scoring.ledger.ledger import Ledger
from efficient_empathy.scoring.ledger.spending import NAME as SPENT
from efficient_empathy.scoring.ledger.spending import close_spending


def recover(run: Path, ledger: Ledger) -> float:
    """Record what is in the journals of a run and not in its ledger, and remove them.

    A part that was whole but not moved yet is in its journal, too; without a journal, its samples are judged again.
    Returns how many US dollars that workers were given have come back, as none of them has spent them.
    """
    before = ledger.spent_usd()
    for path in journals(run):
        content = read_journal(path)
        if content is not None:
            spec, judgements = content
            ledger.record(spec, [one for one in judgements if _is_new(one, spec, ledger)])
        path.unlink()
    base_usd = ledger.base_usd()
    if base_usd is not None:
        spent = base_usd + sum(close_spending(folder) for folder in (run / FOLDER).glob("*/"))
        ledger.commit_usd(min(before, spent))
    clear(run)
    return max(0.0, before - ledger.spent_usd())


def _is_new(judgement: Judgement, spec: JudgeSpec, ledger: Ledger) -> bool:
    latest = ledger.latest(spec, [judgement.sample_id]).get(judgement.sample_id)
    return latest is None or (latest.state != "ok" and latest.created_at < judgement.created_at)


def clear(run: Path) -> None:
    """Remove the workers' folders, but for journals."""
    for path in (*(run / FOLDER).glob("*/*.parquet"), *(run / FOLDER).glob(f"*/{SPENT}*")):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        for folder in (run / FOLDER).iterdir():
            with suppress(OSError):
                folder.rmdir()
        (run / FOLDER).rmdir()
