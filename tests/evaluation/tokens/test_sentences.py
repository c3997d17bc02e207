from pathlib import Path

import pytest
from hypothesis import given, settings

from awkward_texts import AWKWARD_TEXTS
from efficient_empathy.evaluation.tokens import sentences, split, splitter
from efficient_empathy.evaluation.tokens.sentences import ABBREVIATIONS
from efficient_empathy.foundation.errors import UserError

nltk = pytest.importorskip("nltk.tokenize.punkt", reason='needs the extra "eval"')


@pytest.mark.parametrize(
    "text",
    [
        "that is sad.|i hope she is well.",
        "oh no !|what happened ?|did it hurt ?",
        "i saw dr. smith at 5. then he left.",
        "i live in the u.s. now.|you?",
        "well... maybe not.",
        'she said "stop!"|and left.',
        "plan b. worked.",
        "just this",
    ],
)
def test_where_sentences_end(text: str) -> None:
    assert split(text.replace("|", " ")) == text.split("|")


@given(AWKWARD_TEXTS)
@settings(max_examples=400)
def test_the_decisions_are_punkts_with_our_abbreviations(text: str) -> None:
    parameters = nltk.PunktParameters()
    parameters.abbrev_types = set(ABBREVIATIONS)
    assert split(text.lower()) == nltk.PunktSentenceTokenizer(parameters).tokenize(text.lower())


@pytest.fixture
def without_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk.data

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    nltk.tokenize._get_punkt_tokenizer.cache_clear()


@pytest.mark.usefixtures("without_data")
def test_without_nltks_data_the_builtin_one_is_used() -> None:
    assert splitter("auto") == (split, "builtin")
    assert splitter("builtin") == (split, "builtin")


@pytest.mark.usefixtures("without_data")
def test_asking_for_nltk_without_its_data_says_how_to_get_it() -> None:
    with pytest.raises(UserError, match=r"nltk\.downloader punkt_tab"):
        splitter("nltk")


def test_nltks_data_is_found_where_nltk_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sentences.sys.modules, "nltk")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NLTK_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(sentences.sys, "prefix", str(tmp_path))
    (tmp_path / "data" / "tokenizers" / "punkt_tab").mkdir(parents=True)
    assert sentences._may_have_data()
