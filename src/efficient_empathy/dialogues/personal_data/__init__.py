"""What looks like personal data in a text: found by its form, counted, and replaced in what is sent away."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.dialogues.personal_data.counting import PersonalCounter, counts_text, kinds_of_texts
    from efficient_empathy.dialogues.personal_data.scan import (
        KINDS,
        RULES,
        PersonalFinding,
        PersonalKind,
        personal_findings,
        placeholder,
        redact_sample,
        redact_text,
    )

__all__ = [
    "KINDS",
    "RULES",
    "PersonalCounter",
    "PersonalFinding",
    "PersonalKind",
    "counts_text",
    "kinds_of_texts",
    "personal_findings",
    "placeholder",
    "redact_sample",
    "redact_text",
]

__getattr__ = exports(
    __name__,
    {
        **dict.fromkeys(("PersonalCounter", "counts_text", "kinds_of_texts"), "counting"),
        **dict.fromkeys(("KINDS", "RULES", "PersonalFinding", "PersonalKind", "personal_findings"), "scan"),
        **dict.fromkeys(("placeholder", "redact_sample", "redact_text"), "scan"),
    },
)
