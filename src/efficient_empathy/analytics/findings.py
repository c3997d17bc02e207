"""What is wrong with the data, sample by sample: each finding with its count, share and some ids.

Among them is personal data in texts, which is counted and never shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import polars as pl

from efficient_empathy.analytics.duplicates import Group, near_duplicates
from efficient_empathy.analytics.record import AlikeSamples, Finding
from efficient_empathy.analytics.settings import AnalyticsSettings
from efficient_empathy.analytics.table import Mask, Table, Words, words
from efficient_empathy.dialogues.personal_data import PersonalKind, kinds_of_texts
from efficient_empathy.foundation import language
from efficient_empathy.foundation.errors import UserError, missing_extra

EXTRA, LIBRARY = "personal", "phonenumbers"
PHONE = "phone"
_MAYBE = r"\d(?:[^\p{L}\d]{0,4}\d){6}"
"""What polars looks for of a telephone number; what it finds is looked at again."""
PERSONAL: tuple[PersonalKind, ...] = ("email", "card", "ip_address")
"""The kinds of personal data that are found by their form alone, as before anything is sent to a judge."""
IDS, GROUPS = 50, 20
REPEATS, REPEAT_WORDS = 5, 3
"""A response is repeated where so many samples have it and it has so many words: "Thank you!" comes again by nature."""


def phones_available() -> bool:
    """Whether the extra that telephone numbers need is installed."""
    return find_spec(LIBRARY) is not None


def check_regions(regions: Sequence[str]) -> None:
    """Raises `UserError` for a region that no telephone numbers are of; without the extra nothing is checked."""
    if not regions or not phones_available():
        return
    from phonenumbers import SUPPORTED_REGIONS

    unknown = [region for region in regions if region not in SUPPORTED_REGIONS]
    if unknown:
        raise UserError(f"regions: {unknown[0]!r} is no region: give two-letter codes such as US, GB or DE")


def has_phone(text: str, regions: Sequence[str]) -> bool:
    """Whether it has a telephone number that is valid in its numbering plan (libphonenumber's leniency VALID): in
    international form, or as it is written within one of the `regions`, ISO 3166-1 codes. Needs the extra."""
    from phonenumbers import PhoneNumberMatcher

    return any(PhoneNumberMatcher(text, region).has_next() for region in (*regions, None))


def personal(texts: pl.Series, regions: Sequence[str]) -> dict[str, Mask | None]:
    """By kind, which texts have it; None for telephone numbers without the extra."""
    texts = texts.fill_null("")
    by_text = kinds_of_texts(texts)
    marks: dict[str, Mask | None] = {
        kind: np.array([kind in by_text.get(text, ()) for text in texts.to_list()], np.bool_) for kind in PERSONAL
    }
    phone = _phones(texts, regions) if phones_available() else None
    return {"email": marks["email"], PHONE: phone, "card": marks["card"], "ip_address": marks["ip_address"]}


def _phones(texts: pl.Series, regions: Sequence[str]) -> Mask:
    marks: Mask = texts.str.contains(_MAYBE).to_numpy().copy()
    for row in marks.nonzero()[0].tolist():
        marks[row] = has_phone(texts[row], regions)
    return marks


def findings(table: Table, exchanges: pl.DataFrame, settings: AnalyticsSettings) -> list[Finding]:
    """Each with its first 50 ids; those of no sample too.

    A near duplicate is one of last turn and response together; `count` is how many samples could go, all but the first
    of each group. Texts are never in a finding, but for `repeated_response`. What an extra is missing for has no
    `count` and no `share`: they are None.
    """
    response_words = words(exchanges["response"])
    longest = table.column("response_words") > settings.longest
    context = table.column("context_words")
    listener = (exchanges["role"] != "speaker").fill_null(True).to_numpy()
    results = [
        _same_sample(table),
        _near(table, exchanges, settings),
        _finding(table, "empty_response", response_words.lengths == 0),
        _finding(table, "one_word_response", response_words.lengths == 1),
        _finding(table, "empty_context", context == 0),
        _finding(table, "long_response", longest, limit=settings.longest),
        _finding(table, "long_context", context > settings.longest_context, limit=settings.longest_context),
        _finding(table, "listener_last", listener),
        _language(table, exchanges),
        _repeated_responses(table, exchanges["response"], response_words),
    ]
    either = exchanges.select(pl.concat_str("last", "response", separator="\n", ignore_nulls=True)).to_series()
    return results + [_finding(table, kind, marks) for kind, marks in personal(either, settings.regions).items()]


def libraries() -> dict[str, str | None]:
    """The optional libraries that findings hang on, each with its version, None for one that is not installed."""
    return {name: version(name) if find_spec(name) else None for name in (language.LIBRARY, LIBRARY)}


def missing_libraries() -> list[str]:
    """What cannot be searched for here, and what installs it."""
    notes = []
    if not language.available():
        notes.append(str(missing_extra("languages are not told apart, which", language.EXTRA)))
    if not phones_available():
        notes.append(str(missing_extra("telephone numbers are not counted, which", EXTRA)))
    return notes


def _finding(table: Table, kind: str, marks: Mask | None, ids: Sequence[int] | None = None, **more: Any) -> Finding:
    if marks is None:
        return Finding(kind=kind, count=None, share=None, ids=[], **more)
    rows = np.flatnonzero(marks)[:IDS] if ids is None else np.asarray(ids[:IDS], np.int64)
    count = int(marks.sum())
    return Finding(kind=kind, count=count, share=count / max(1, len(table)), ids=_ids(table, rows), **more)


def _ids(table: Table, rows: Sequence[int] | np.ndarray) -> list[str]:
    ids: list[str] = table.rows["sample_id"].gather(pl.Series(rows, dtype=pl.UInt32)).to_list()
    return ids


def _same_sample(table: Table) -> Finding:
    """Samples whose context and response came before, letter by letter."""
    first = table.rows["sample_id"].is_first_distinct().to_numpy()
    return _finding(table, "same_sample", ~first)


def _near(table: Table, exchanges: pl.DataFrame, settings: AnalyticsSettings) -> Finding:
    both = exchanges.select(pl.concat_str("last", "response", separator=" ", ignore_nulls=True)).to_series()
    groups = near_duplicates(words(both), settings.similarity, settings.seed)
    spare = np.zeros(len(table), dtype=np.bool_)
    for group in groups:
        spare[group.rows[1:]] = True
    across = sum(len(np.unique(table.dialogues[group.rows])) > 1 for group in groups)
    rows = [row for group in groups for row in group.rows]
    return _finding(
        table, "near_duplicate", spare, rows, similarity=settings.similarity, groups=len(groups),
        across_dialogues=across, largest=[_group(table, group) for group in groups[:GROUPS]],
    )  # fmt: skip


def _group(table: Table, group: Group) -> AlikeSamples:
    return AlikeSamples(samples=len(group.rows), least_similarity=group.least, ids=_ids(table, group.rows[:IDS]))


def _language(table: Table, exchanges: pl.DataFrame) -> Finding:
    """Samples whose response or last turn is in another language than most."""
    if not language.available():
        return _finding(table, "wrong_language", None)
    columns = [exchanges[name].fill_null("").to_list() for name in ("response", "last")]
    codes = pl.Series(language.languages([*columns[0], *columns[1]]), dtype=pl.String)
    counts = Counter(codes.drop_nulls().to_list())
    usual = max(sorted(counts), key=counts.__getitem__, default=None)
    strange = (codes.is_not_null() & codes.ne_missing(usual)).to_numpy()
    others = {code: count for code, count in sorted(counts.items()) if code != usual}
    responses_with_language = len(codes.head(len(table)).drop_nulls())
    return _finding(
        table, "wrong_language", strange[: len(table)] | strange[len(table) :], usual=usual,
        responses_with_language=responses_with_language, others=others,
    )  # fmt: skip


def _repeated_responses(table: Table, responses: pl.Series, response_words: Words) -> Finding:
    """Samples whose response others have too, letter case and punctuation aside; all but the first of each."""
    key = responses.fill_null("").str.to_lowercase().str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ").str.strip_chars()
    frame = pl.DataFrame({"key": key, "words": response_words.lengths}).with_row_index("row")
    frame = frame.filter(pl.col("words") >= REPEAT_WORDS).with_columns(pl.len().over("key").alias("times"))
    frame = frame.filter(pl.col("times") >= REPEATS)
    firsts = frame.filter(pl.col("key").is_first_distinct()).sort("times", "row", descending=[True, False])
    marks = np.zeros(len(table), dtype=np.bool_)
    marks[frame.filter(~pl.col("key").is_first_distinct())["row"].to_numpy()] = True
    most = [
        AlikeSamples(text=responses[row], samples=times, ids=_ids(table, frame.filter(key=key)["row"].to_list()[:IDS]))
        for row, key, times in firsts.head(GROUPS).select("row", "key", "times").iter_rows()
    ]
    return _finding(table, "repeated_response", marks, least=REPEATS, texts=len(firsts), largest=most)
