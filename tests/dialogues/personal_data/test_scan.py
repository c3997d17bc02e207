import pytest

from efficient_empathy.dialogues import Sample, Utterance, sample_id
from efficient_empathy.dialogues.personal_data import KINDS, personal_findings, redact_sample, redact_text
from planted_personal_data import HALVES, measure, planted


def test_half_of_the_planted_texts_and_more_hold_nothing() -> None:
    rows = list(planted())
    assert len(rows) == 400
    assert sum(not row.spans for row in rows) >= 200
    assert {half: sum(row.half == half for row in rows) for half in HALVES} == dict.fromkeys(HALVES, 200)
    assert {kind for row in rows for kind, _, _ in row.spans} == set(KINDS)


@pytest.mark.parametrize("half", HALVES)
def test_what_is_planted_is_found_and_little_else(half) -> None:
    counts = measure(half)
    whole, spans, right, findings = (sum(row[place] for row in counts.values()) for place in range(4))
    assert whole / spans >= 0.95
    assert right / findings >= 0.97
    for kind, (whole, spans, right, findings) in counts.items():
        assert whole / spans >= 0.75, kind
        assert right / findings >= 0.9, kind


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("mail John@X.ORG,jane@y.com;bob@z.net!", "mail [EMAIL],[EMAIL];[EMAIL]!"),
        ("john (dot) doe (at) example (dot) org", "[EMAIL]"),
        ("it's name at host dot org", "it's [EMAIL]"),
        ("johndoe @ gmail.com", "[EMAIL]"),
        ("邮箱xiaowang@example.cn，谢谢", "邮箱[EMAIL]，谢谢"),
        ("Tel.: 0221 / 123 456-78 (abends)", "Tel.: [PHONE] (abends)"),
        ("her customer called from 212-555-0123 ext. 4", "her customer called from [PHONE]"),
        ("202-555-0104 or +44 (0)20 7946 0018.", "[PHONE] or [PHONE]."),
        ("電話番号：0312345678", "電話番号：[PHONE]"),
        ("(0044) 20 7946 0958, mein Büro", "[PHONE], mein Büro"),
        ("tel:2125550123", "tel:[PHONE]"),
        ("my phone is ٠٥٠١٢٣٤٥٦٧ now", "my phone is [PHONE] now"),
        ("Visa 4242 4242 4242 4242 04/27", "Visa [CARD] 04/27"),
        ("4242 4242 4242 4242 123 is on it", "[CARD] 123 is on it"),
        ("IBAN GB29 NWBK 6016 1331 9268 19.", "IBAN [IBAN]."),
        ("scp a.txt anna@203.0.113.5:/tmp", "scp a.txt anna@[IP]:/tmp"),
        ("ssn is 219099999", "ssn is [ID]"),
        ("NI number QQ 12 34 56 C", "NI number [ID]"),
        ("hey @maria and u/quiet_storm", "hey [ACCOUNT] and [ACCOUNT]"),
        ("https://x.com/jsmith/status/123", "https://x.com/[ACCOUNT]/status/123"),
        ("mysql://root:secret@db:3306/x", "mysql://[ACCOUNT]@db:3306/x"),
        ("My username is moonlight.", "My username is [ACCOUNT]."),
        ("my account number is 000123456789", "my account number is [ACCOUNT]"),
        ("Follow me on TikTok at bakerboy_01", "Follow me on TikTok at [ACCOUNT]"),
    ],
)
def test_a_placeholder_stands_for_what_is_found_and_the_rest_stays(text, redacted) -> None:
    assert redact_text(text) == redacted
    assert personal_findings(redacted) == []


@pytest.mark.parametrize(
    "text",
    [
        "1998-2004, 2019/2020, 2020-2021-2022",
        "05-12-84 1200, 10:0312345678 and 08:30-09:45",
        "03.04.2021-05.06.2021 at 14.30-15.45, then 2023-10-05T14:48:00.000Z",
        "$1,250.00, € 12.500,00 and 3 200 000 won",
        "my order 555-123-4567 and invoice no. 070 123 45 67",
        "Genesis 1:1-31, Matthew 25:31-46",
        "we lost 102-98, 21-19 21-18 and 3-2",
        "call 911, 988, 116 123, 1-800-273-8255 or 0800 1110111",
        "dinner @ 5pm, @home, @everyone, @channel, me@home, @gmail.com",
        "icon@2x.png, left-pad@1.3.0, @types/node, git@github.com:a/b.git",
        "4111 1111 1111 1112 and 1234 5678 9012 3456",
        "DE89 3704 0044 0532 0130 01 fails its check",
        "127.0.0.1, 255.255.255.0, v10.4.3.2 and section 4.3.2.1",
        "10::30, 01:23:45 and 00:1B:44:11:3A:B7",
        "000-12-3456, 666-45-6789 and part 123-45-6789",
        "my username is required, my handle is slipping, login: required",
        "01 02 03 04 05 06 07 and 85 90 78 92 88 95",
        "DOI 10.1177/0022146510383501, ISBN 978-3-16-148410-0",
        "she works at google dot she loves it",
    ],
)
def test_what_only_resembles_personal_data_is_none(text) -> None:
    assert personal_findings(text) == []


@pytest.mark.parametrize(
    "text",
    ["a" * 10**5, "12" * 50_000 + "a", "a@" * 50_000, "a@" + "a." * 50_000, "01 " * 33_000, " at " * 25_000 + " dot ",
     "a" * 99_980 + " at b dot ", "call 212-555-0123 " * 5_000, "DE12" * 25_000, "+1" * 50_000],
    ids=lambda text: text[:8],
)  # fmt: skip
def test_a_text_as_long_as_readers_let_in_takes_seconds_at_most(text) -> None:
    import time

    began = time.process_time()
    personal_findings(text)
    assert time.process_time() - began < 15


def test_a_redacted_sample_has_the_id_of_what_it_says_and_an_unchanged_one_is_itself() -> None:
    sample = Sample.of([Utterance("speaker", "I am a@b.org")], "Hi!", dialogue_id="d", category="sad")
    shown = redact_sample(sample)
    assert shown.context == (Utterance("speaker", "I am [EMAIL]"),)
    assert shown.id == sample_id(shown.context, "Hi!") != sample.id
    assert (shown.dialogue_id, shown.category, shown.turn) == ("d", "sad", 1)
    assert redact_sample(shown) is shown
