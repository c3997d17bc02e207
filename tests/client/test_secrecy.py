import pytest

from efficient_empathy.client.secrecy import Secrets, checked_key
from efficient_empathy.errors import UserError

KEY = "tok-0123456789abcdef"


def test_the_key_and_secret_headers_are_scrubbed() -> None:
    secrets = Secrets(KEY, {"X-Api-Key": "second-secret", "X-Title": "Efficient-Empathy"})
    told = secrets.tell(f"Bearer {KEY} and second-secret by Efficient-Empathy with sk-proj-ab***yz")
    assert told == "Bearer [key] and [key] by Efficient-Empathy with [key]"


def test_a_message_becomes_one_short_line() -> None:
    told = Secrets(None, {}).tell("one\n\ttwo\x1b[31m" + "x" * 5000)
    assert told.startswith("one two [31mxxx")
    assert len(told) == 300


def test_placeholders_are_no_secrets() -> None:
    assert Secrets("EMPTY", {}).scrub("an EMPTY room") == "an EMPTY room"


@pytest.mark.parametrize("key", ["sk-abc\nHost: evil", "my secret key", "schlüssel-12345"])
def test_a_key_that_no_header_takes_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(UserError, match="MY_KEY") as caught:
        checked_key(key, "MY_KEY")
    assert key not in str(caught.value)


def test_white_space_around_a_key_is_forgiven() -> None:
    assert checked_key(f" {KEY}\n", "MY_KEY") == KEY
    assert checked_key("  ", "MY_KEY") is None
