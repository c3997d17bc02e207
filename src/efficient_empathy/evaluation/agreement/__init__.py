"""How far judges and people agree on the same samples, beside how far people agree with one another."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.evaluation.agreement.settings import AgreementSettings
    from efficient_empathy.evaluation.agreement.stage import measure_agreement
    from efficient_empathy.evaluation.agreement.words import summary

__all__ = ["AgreementSettings", "measure_agreement", "summary"]

__getattr__ = exports(
    __name__,
    {
        "AgreementSettings": "settings",
        "measure_agreement": "stage",
        "summary": "words",
    },
)
