"""How far judges and people agree on the same samples, beside how far people agree with one another."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.evaluation.agreement.page import summary
    from efficient_empathy.evaluation.agreement.record import AgreementRecord
    from efficient_empathy.evaluation.agreement.settings import AgreementSettings
    from efficient_empathy.evaluation.agreement.stage import measure_agreement

__all__ = ["AgreementRecord", "AgreementSettings", "measure_agreement", "summary"]

__getattr__ = exports(
    __name__,
    {
        "AgreementRecord": "record",
        "AgreementSettings": "settings",
        "measure_agreement": "stage",
        "summary": "page",
    },
)
