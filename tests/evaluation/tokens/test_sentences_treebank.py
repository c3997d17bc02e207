import gzip
import json

import pytest
from hypothesis import example, given, settings

from awkward_texts import AWKWARD_TEXTS
from efficient_empathy.evaluation.tokens import words
from shared_data import FOLDER, needs_shared_data

nltk = pytest.importorskip("nltk.tokenize", reason='needs the extra "eval"')


@pytest.mark.parametrize(
    ("sentence", "tokens"),
    [
        ('she said "no" .', "she said `` no '' ."),
        ("i cannot say, i'm gonna don't.", "i can not say , i 'm gon na do n't ."),
        ("well... ( maybe ) [ok]", "well ... ( maybe ) [ ok ]"),
        ("it costs $3.50, e.g. here.", "it costs $ 3.50 , e.g. here ."),
        ("mr. x left at 5. then.", "mr. x left at 5. then ."),
        ("so happy 😀!", "so happy 😀 !"),
        ("", ""),
    ],
)
def test_conventions(sentence: str, tokens: str) -> None:
    assert words(sentence) == tokens.split()


@given(AWKWARD_TEXTS)
@example("x's'")
@example("{'tis 'd'd']dr.")
@settings(max_examples=400)
def test_the_tokens_are_nltks(sentence: str) -> None:
    assert words(sentence) == nltk.NLTKWordTokenizer().tokenize(sentence)


@needs_shared_data
def test_the_tokens_are_nltks_on_all_of_the_test_split() -> None:
    tokenize = nltk.NLTKWordTokenizer().tokenize
    with gzip.open(FOLDER / "empathetic_dialogues" / "test_pairs.jsonl.gz", "rt", encoding="utf-8") as rows:
        for row in map(json.loads, rows):
            for text in (row["response"], row["context"].rpartition(" </s> ")[2]):
                assert words(text) == tokenize(text)
