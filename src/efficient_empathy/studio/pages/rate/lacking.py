"""What a set-up of a study that is half filled in still lacks, in the words of its form."""

from __future__ import annotations

from pydantic import ValidationError

from efficient_empathy.studio.pages.rate.tasks import Setup
from efficient_empathy.studio.server.bodies import first_fault, read_body

FIELDS = {
    "name": "The name of the study",
    "filter": "Which samples",
    "models": "Whose responses",
    "raters": "The raters",
    "questionnaire": "What raters are asked",
    "samples": "Samples at most",
    "overlap": "Raters of each sample",
    "repeats": "Hidden repeats",
    "seed": "The seed",
    "days": "The days that links work",
}
KINDS = {"ratings": "Rating", "comparisons": "Comparison"}
PARTS = {
    "name": "its short name",
    "text": "its words",
    "scale": "its scale",
    "low": "what its lowest number means",
    "high": "what its highest number means",
}
"""What the form calls the fields of a set-up, and the parts of a question."""


def read_setup(content: bytes) -> Setup | str:
    """A set-up, or a sentence on what it lacks. Raises `UserError` for what is no form at all."""
    try:
        return Setup.model_validate_json(content)
    except ValidationError as error:
        if not first_fault(error)[0]:
            return read_body(Setup, content)
        return _lacking(error)


def _lacking(error: ValidationError) -> str:
    place, message = first_fault(error)
    match place:
        case ("questionnaire", str(kind), int(number), *rest) if kind in KINDS:
            part = PARTS.get(str(rest[0]), "") if rest else ""
            where = ", ".join(filter(None, (f"{KINDS[kind]} {number + 1}", part)))
        case (field, *_):
            where = FIELDS.get(str(field), str(field))
        case _:
            where = "The form"
    words = message.removeprefix("Value error, ").replace("Input should be ", "it must be ").replace("should", "must")
    return f"{where}: {words[:200]}."
