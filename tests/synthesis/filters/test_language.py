import pytest

from candidates import bundled, candidate, reasons, sample
from efficient_empathy.foundation import language
from efficient_empathy.synthesis.filters import FilterContext

ENGLISH = ("I lost my job last week and I do not know how to tell my wife.", "That sounds terrifying. Is she kind?")
GERMAN = (
    "Ich habe letzte Woche meine Arbeit verloren und weiß nicht weiter.",
    "Das klingt schlimm. Ist sie lieb zu dir?",
)


def test_a_sample_is_in_the_language_of_its_seed_or_of_most_real_samples() -> None:
    pytest.importorskip("py3langid")
    context = FilterContext(real=bundled("valid"))
    german = sample(*GERMAN)
    mixed = (ENGLISH[0], GERMAN[1])
    assert reasons("language", [candidate(*ENGLISH), candidate(*GERMAN), candidate(*mixed)], context) == [
        "",
        "language: de",
        "language: de",
    ]
    seeded = [candidate(*GERMAN, seed=german), candidate(*ENGLISH, seed=german)]
    assert reasons("language", seeded, context) == ["", "language: en"]
    assert reasons("language", seeded, context, languages=("de", "en")) == ["", ""]


def test_what_is_unsure_stays() -> None:
    pytest.importorskip("py3langid")
    assert reasons(
        "language", [candidate("Tim!", "😀"), candidate("ok", "hm")], FilterContext(real=bundled("valid"))
    ) == ["", ""]


def test_without_the_extra_all_pass_and_it_is_said_once(monkeypatch) -> None:
    monkeypatch.setattr(language, "LIBRARY", "no_such_library")
    context = FilterContext(real=bundled("valid"))
    assert reasons("language", [candidate(*GERMAN)] * 2, context) == ["", ""]
    assert len(context.notes) == 1
    assert "efficient-empathy[language]" in context.notes[0]
