"""How far judges and people agree on the same samples, beside how far people agree with one another."""

from efficient_empathy.evaluation.agreement.settings import AgreementSettings
from efficient_empathy.evaluation.agreement.stage import measure_agreement
from efficient_empathy.evaluation.agreement.words import summary

__all__ = ["AgreementSettings", "measure_agreement", "summary"]
