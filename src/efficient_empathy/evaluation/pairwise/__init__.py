"""Two models' responses compared by an LLM judge, in both orders."""

from efficient_empathy.evaluation.pairwise.question import Pair, PairRubric
from efficient_empathy.evaluation.pairwise.stage import pairwise, plan_pairwise
from efficient_empathy.evaluation.pairwise.words import summary

__all__ = ["Pair", "PairRubric", "pairwise", "plan_pairwise", "summary"]
