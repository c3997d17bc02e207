"""Every judgement of a run: in a database, and in Parquet parts that workers on a cluster wrote."""

from efficient_empathy.scoring.ledger.batches import Batch, BatchRow
from efficient_empathy.scoring.ledger.database import open_read_only
from efficient_empathy.scoring.ledger.ledger import Ledger, Totals
from efficient_empathy.scoring.ledger.parts import parts_folder, write_part
from efficient_empathy.scoring.ledger.rows import COLUMNS, dependence_of, judgements_of, scores_of, tables_of

__all__ = [
    "COLUMNS",
    "Batch",
    "BatchRow",
    "Ledger",
    "Totals",
    "dependence_of",
    "judgements_of",
    "open_read_only",
    "parts_folder",
    "scores_of",
    "tables_of",
    "write_part",
]
