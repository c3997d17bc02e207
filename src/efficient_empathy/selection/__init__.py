"""From scores to subsets: which samples are kept, why, and the data sets that training reads."""

from efficient_empathy.selection.policy import POLICIES, Policy, flips, make_policy
from efficient_empathy.selection.stage import select, summary

__all__ = ["POLICIES", "Policy", "flips", "make_policy", "select", "summary"]
