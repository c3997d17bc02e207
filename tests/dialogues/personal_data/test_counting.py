import tracemalloc
from collections import Counter

import pytest

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.dialogues.personal_data import PersonalCounter, counts_text, personal_findings
from efficient_empathy.evaluation.pairwise.question import Pair
from planted_personal_data import planted


def count(*samples: Sample) -> PersonalCounter:
    counter = PersonalCounter()
    for sample in samples:
        counter.add(sample)
    return counter


def sample(context: str, response: str = "I hear you.") -> Sample:
    return Sample.of([Utterance("speaker", context)], response)


@pytest.mark.parametrize("spelling", [str, str.upper, str.title])
def test_the_first_test_of_many_texts_lets_nothing_through_that_the_scan_finds(spelling) -> None:
    texts = [spelling(row.text) for row in planted()]
    kinds = [Counter(one.kind for one in personal_findings(text)) for text in texts]
    counter = count(*(sample("Hello.", text) for text in texts))
    assert counter.samples == sum(bool(one) for one in kinds)
    assert counter.findings_by_kind == {kind: n for kind, n in sum(kinds, Counter()).items() if n}


def test_a_sample_counts_once_a_kind_however_often_and_wherever_it_stands() -> None:
    counter = count(
        sample("a@b.org and c@d.org", "Shall I write to a@b.org or ring 212-555-0123?"), sample("c@d.org"), sample("no")
    )
    assert counter.samples_by_kind == {"email": 2, "phone": 1}
    assert counter.findings_by_kind == {"email": 4, "phone": 1}
    assert counter.samples == 2
    counter.add(sample("e@f.org"))
    assert counter.samples_by_kind == {"email": 3, "phone": 1}


def test_both_responses_of_a_pair_count() -> None:
    pair = Pair.of_two((Utterance("speaker", "Hi."),), "Write to a@b.org.", "Ring 212-555-0123.", "d")
    assert count(pair).samples_by_kind == {"email": 1, "phone": 1}
    shown = pair.with_texts(str.upper)
    assert (shown.response, shown.second) == ("WRITE TO A@B.ORG.", "RING 212-555-0123.")
    assert shown == Pair.of_two((Utterance("speaker", "HI."),), shown.response, shown.second, "d")


def test_memory_stays_flat_however_many_samples_there_are() -> None:
    counter = PersonalCounter()
    tracemalloc.start()
    for i in range(4_000):
        counter.add(sample(f"{i} " + "x" * 5000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counter.samples == 0
    assert peak < 8_000_000


MANY = "1,200 samples look as if they held some: e-mail addresses 1,100, phone numbers 200"


@pytest.mark.parametrize(
    ("samples", "by_kind", "text"),
    [
        (0, {}, "no sample looks as if it held any"),
        (1, {"email": 1}, "1 sample looks as if it held some: e-mail addresses 1"),
        (1200, {"phone": 200, "email": 1100}, MANY),
    ],
)
def test_counts_in_words(samples, by_kind, text) -> None:
    assert counts_text(samples, by_kind) == text
