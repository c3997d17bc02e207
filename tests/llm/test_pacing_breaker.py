"""When a run ends for a server's sake, and what is then said."""

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.errors import EndpointDown, Fault
from efficient_empathy.llm.pacing import Breaker

URL = "http://judge.test/v1"
NO_ANSWER = Fault("timeout", "no reply", unanswered=True)


def error_of(breaker: Breaker) -> str | None:
    try:
        breaker.check()
    except UserError as error:
        return str(error)
    return None


def after(fault: Fault, times: int, *, concurrency: int = 1, answered: bool = True) -> str | None:
    breaker = Breaker(URL, concurrency)
    if answered:
        breaker.note_response()
    for _ in range(times):
        assert error_of(breaker) is None
        breaker.gave_up(fault)
    return error_of(breaker)


AGAIN = "and run the command again"


@pytest.mark.parametrize(
    ("fault", "outcome", "remedy"),
    [
        (NO_ANSWER, "does not answer", f"check the base URL, or start the server, {AGAIN}"),
        (
            Fault("rate_limited", "no reply", unanswered=True),
            "does not answer",
            "lower the concurrency, or run the command again later",
        ),
        (
            Fault("bad_body", "no reply"),
            "answers no call",
            f"check that the base URL is that of a model's server, {AGAIN}",
        ),
        (
            Fault("rejected", "no reply"),
            "answers no call",
            f"change what is asked for (the model, the extra body, --reply text), or the base URL, {AGAIN}",
        ),
    ],
)
def test_ten_calls_in_a_row_without_an_answer_end_the_run_with_the_remedy(
    fault: Fault, outcome: str, remedy: str
) -> None:
    said = f"{URL} {outcome}, 10 calls in a row failed (no reply): {remedy}"
    assert after(fault, 10) == said
    assert after(fault, 9) is None
    assert after(fault, 63, concurrency=64) is None
    assert after(fault, 64, concurrency=64) == said.replace("10 calls", "64 calls")


def test_one_connection_refused_before_anything_was_answered_is_enough() -> None:
    refused = Fault("connection", "nothing listens", unanswered=True, refused=True)
    said = after(refused, 1, answered=False)
    assert said == (
        f"{URL} does not answer, 1 call failed (nothing listens): check the base URL, or start the server, and run the "
        "command again"
    )
    assert after(refused, 9) is None
    assert after(NO_ANSWER, 9, answered=False) is None


def test_an_answer_starts_the_row_anew_and_texts_that_are_too_long_do_not_count() -> None:
    breaker = Breaker(URL, 1)
    for _ in range(3):
        for _ in range(9):
            breaker.gave_up(NO_ANSWER)
        breaker.success()
    for _ in range(30):
        breaker.gave_up(Fault("too_long", "the text is too long"))
    assert error_of(breaker) is None


def test_what_concerns_all_calls_ends_the_run_at_once_or_only_before_a_success() -> None:
    first = Fault("rejected", "no", fatal=UserError("the first"))
    later = Fault("rejected", "no", fatal=UserError("the second"))
    breaker = Breaker(URL, 1)
    breaker.gave_up(first)
    breaker.gave_up(later)
    assert error_of(breaker) == "the first"
    at_first = Fault("rejected", "no", fatal=UserError("only at first"), only_at_first=True)
    assert after(at_first, 1) == "only at first"
    breaker = Breaker(URL, 1)
    breaker.success()
    breaker.gave_up(at_first)
    assert error_of(breaker) is None
    breaker.gave_up(later)
    assert error_of(breaker) == "the second"


def test_the_error_is_a_new_one_of_its_kind_for_each_call() -> None:
    breaker = Breaker(URL, 1)
    breaker.trip(EndpointDown("down"))
    raised = []
    for _ in range(2):
        with pytest.raises(EndpointDown, match=r"^down$") as error:
            breaker.check()
        raised.append(error.value)
    assert raised[0] is not raised[1]
