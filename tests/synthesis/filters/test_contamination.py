import importlib
import random
from pathlib import Path

import numpy as np
import pytest

from candidates import bundled, candidate, reasons, sample, verdicts
from efficient_empathy.dialogues import Sample
from efficient_empathy.synthesis.filters import FilterContext

TEST = "the run's test split"


@pytest.fixture(scope="module")
def context() -> FilterContext:
    return FilterContext(real=bundled("train"), protected={TEST: bundled("test")})


@pytest.fixture
def kinds(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
    return importlib.import_module("benchmarks.rewording").KINDS


def disguised(one: Sample, change, rng: random.Random):
    return candidate(*(change(text, rng) for text in one.texts()))


@pytest.mark.parametrize("half", ["tuning", "held out"])
def test_copies_are_found_however_they_are_reworded(half: str, kinds, context) -> None:
    for kind, change in kinds[half].items():
        rng = random.Random(kind)
        copies = [disguised(one, change, rng) for one in bundled("test")]
        found = [bool(reason) for reason in reasons("contamination", copies, context)]
        assert sum(found) >= 0.95 * len(found), kind


def test_what_is_no_copy_stays_though_it_is_about_the_same(context) -> None:
    """Every category of the bundled dialogues is in each split."""
    others = [candidate(*one.texts()) for one in bundled("valid")]
    assert len([reason for reason in reasons("contamination", others, context) if reason]) <= 0.01 * len(others)


def test_the_context_alone_is_a_copy_and_so_is_a_response_of_its_own(context) -> None:
    one = next(sample for sample in bundled("test") if sample.id and len(sample.response.split()) > 25)
    other = bundled("valid")[0]
    context_copied = candidate(*(turn.text for turn in one.context), other.response)
    response_copied = candidate(other.context[0].text, one.response)
    assert reasons("contamination", [context_copied, response_copied], context) == [
        f"context repeats {TEST}",
        f"response repeats {TEST}",
    ]


def test_a_stock_response_is_everybodys() -> None:
    protected = sample("My sister moved to Canada in the spring and left me her parrot.", "I'm so sorry to hear that!")
    real = [
        sample(f"I lost my {one} on the way.", "I'm so sorry to hear that!") for one in ("hat", "bag", "map", "dog")
    ]
    context = FilterContext(real=[*real, *bundled("train")], protected={"test.jsonl": [protected]})
    stock = candidate("The bakery burned down last night.", "I'm so sorry to hear that!")
    copy = candidate("In the spring my sister moved to Canada, and left me her parrot!", "I am so sorry to hear that.")
    assert reasons("contamination", [stock, copy], context) == ["", "sample repeats test.jsonl"]


def test_a_passage_is_found_within_a_longer_text(context) -> None:
    one = max(bundled("test"), key=lambda sample: len(sample.context[0].text))
    words = " ".join(turn.text for other in bundled("valid")[10:30] for turn in other.context[:1])
    long = candidate(f"{words} {one.context[0].text}", bundled("valid")[9].response)
    assert reasons("contamination", [long], context) == [f"has a passage of {TEST}"]


def test_where_words_leave_doubt_the_encoder_decides(context) -> None:
    """A copy with three of five words changed shares too little to tell."""
    one = bundled("test")[0]
    texts = [" ".join(w if i % 5 < 2 else f"x{i}y" for i, w in enumerate(text.split())) for text in one.texts()]
    doubtful = candidate(*texts)
    calls = []

    def embed_as(same: bool):
        def embed(some):
            calls.append(list(some))
            return np.eye(2, dtype=np.float32)[[0 if same or text == "\n".join(texts) else 1 for text in some]]

        return embed

    def found(embed):
        own = FilterContext(real=context.real, protected=context.protected, embed=embed)
        return verdicts("contamination", [doubtful, candidate("I won a goat.", "A goat!")], own)

    assert [reason for reason, _ in found(embed_as(True))] == [f"says the same as {TEST}", ""]
    assert [reason for reason, _ in found(embed_as(False))] == ["", ""]
    assert [reason for reason, _ in found(None)] == ["", ""]
    assert calls[0] == ["\n".join(texts)]
    assert calls[1] == ["\n".join(one.texts())]


def test_nothing_protected_is_no_fault() -> None:
    assert verdicts("contamination", [candidate("a", "b")]) == [("", 0.0)]
    only = FilterContext(protected={"test.jsonl": [sample("My dog died.", "Oh no.")]})
    assert verdicts("contamination", [candidate("🙂", "😢")], only) == [("", 0.0)]


def test_the_test_file_itself_as_seeds_leaves_nothing() -> None:
    test = bundled("test")
    context = FilterContext(real=test, protected={"the test file test.jsonl": test})
    found = reasons("contamination", [candidate(*one.texts()) for one in test], context)
    assert found.count("") <= 0.02 * len(found)
