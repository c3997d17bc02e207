"""Every judgement of a run: in a database, and in Parquet parts that workers on a cluster wrote."""

from efficient_empathy.scoring.ledger.batches import Batch, BatchRow
from efficient_empathy.scoring.ledger.database import open_read_only
from efficient_empathy.scoring.ledger.ledger import Ledger, Totals
from efficient_empathy.scoring.ledger.parts import parts_folder, write_part

__all__ = ["Batch", "BatchRow", "Ledger", "Totals", "open_read_only", "parts_folder", "write_part"]
