"""Two models' responses compared by an LLM judge, in both orders."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.evaluation.pairwise.question import Pair, PairRubric
    from efficient_empathy.evaluation.pairwise.record import PairwiseRecord, PairwiseResult
    from efficient_empathy.evaluation.pairwise.stage import pairwise, plan_pairwise, require_verdicts

__all__ = ["Pair", "PairRubric", "PairwiseRecord", "PairwiseResult", "pairwise", "plan_pairwise", "require_verdicts"]

__getattr__ = exports(
    __name__,
    {
        "Pair": "question",
        "PairRubric": "question",
        "PairwiseRecord": "record",
        "PairwiseResult": "record",
        "pairwise": "stage",
        "plan_pairwise": "stage",
        "require_verdicts": "stage",
    },
)
