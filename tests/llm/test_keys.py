import base64
import html
import json
import re
from urllib.parse import quote

import pytest
from yarl import URL

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.keys import Secrets, check_key, query_secrets, warn_of_plain_text

KEY = "tok-0123456789abcdef"


def test_the_key_and_secret_headers_are_scrubbed() -> None:
    secrets = Secrets(KEY, {"X-Api-Key": "second-secret", "X-Title": "Efficient-Empathy"})
    told = secrets.tell(f"Bearer {KEY} and second-secret by Efficient-Empathy with sk-proj-ab***yz")
    assert told == "Bearer [key] and [key] by Efficient-Empathy with [key]"


@pytest.mark.parametrize("before", ["", "x", "xy", "user:"])
def test_a_key_is_known_in_every_form_in_which_servers_repeat_it(before: str) -> None:
    key = "tok/0123+456789=ab&cdef"
    secrets = Secrets(key, {})
    content = f"{before}{key}".encode()
    lower = re.sub("%..", lambda match: match[0].lower(), quote(key, safe=""))
    in_base64 = base64.b64encode(content).decode(), base64.urlsafe_b64encode(content).decode()
    escaped = quote(key), quote(key, safe=""), lower, json.dumps({"k": key}), html.escape(key)
    for said in (*escaped, *in_base64, key[::-1], content.hex()):
        for text in (secrets.scrub(f"got {said}."), secrets.tell(f"got {said}."), str(UserError(f"got {said}."))):
            assert "[key]" in text
            assert key[4:12] not in text
            assert len(text) < 32


def test_the_password_within_a_basic_header_is_one_too() -> None:
    login = base64.b64encode(b"me:my-password").decode()
    assert Secrets(None, {"Authorization": f"Basic {login}"}).tell("no my-password, no Basic") == "no [key], no Basic"


def test_values_of_other_headers_are_kept_out_of_what_the_server_says_and_nothing_else() -> None:
    secrets = Secrets(None, {"X-Project": "empathy-group"}, values=["empathy-group"])
    assert secrets.scrub("the empathy-group") == "the [key]"
    assert str(UserError("the empathy-group")) == "the empathy-group"


def test_credentials_of_any_length_are_kept_out_of_messages_but_short_ones_stay_in_replies() -> None:
    secrets = Secrets(None, {}, ("pw1", "long-password"))
    assert secrets.tell("no pw1, no long-password, but pw12") == "no [key], no [key], but pw12"
    assert secrets.scrub("no pw1, no long-password") == "no pw1, no [key]"


@pytest.mark.parametrize(
    ("query", "hidden", "shown"),
    [
        ("key=AIza%2Fab12cd34&api-version=2024-10-21", ["AIza/ab12cd34", "AIza%2Fab12cd34"], "2024-10-21"),
        ("sig=a%2Bb%3D%3Dcdefgh&v=1", ["a+b==cdefgh", "a%2Bb%3D%3Dcdefgh"], "1"),
        ("hunter2hunter2", ["hunter2hunter2"], "host"),
    ],
)
def test_what_a_query_holds_is_secret_as_it_is_sent_and_as_it_reads(query: str, hidden: list[str], shown: str) -> None:
    secrets = Secrets(None, {}, query_secrets(URL(f"https://host.test/v1?{query}", encoded=True)))
    for value in hidden:
        assert secrets.tell(f"refused: {value}") == "refused: [key]"
    assert shown in secrets.tell(f"the host said {shown}")


def test_a_message_becomes_one_short_line() -> None:
    told = Secrets(None, {}).tell("one\n\ttwo\x1b[31m" + "x" * 5000)
    assert told.startswith("one two [31mxxx")
    assert len(told) == 300


def test_placeholders_are_no_secrets() -> None:
    assert Secrets("EMPTY", {}).scrub("an EMPTY room") == "an EMPTY room"


@pytest.mark.parametrize("key", ["sk-abc\nHost: evil", "my secret key", "schlüssel-12345"])
def test_a_key_that_no_header_takes_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(UserError, match="MY_KEY") as caught:
        check_key(key, "MY_KEY")
    assert key not in str(caught.value)


def test_white_space_around_a_key_is_forgiven() -> None:
    assert check_key(f" {KEY}\n", "MY_KEY") == KEY
    assert check_key("  ", "MY_KEY") is None


@pytest.mark.parametrize("secret", [KEY, "", "EMPTY"])
@pytest.mark.parametrize(
    ("url", "is_read_by_others"),
    [("http://10.0.0.7:8000/v1", True), ("http://judge.example/v1", True), ("https://judge.example/v1", False),
     ("http://127.0.0.1:8000/v1", False), ("http://localhost/v1", False)],
)  # fmt: skip
def test_a_key_that_leaves_this_machine_unencrypted_is_warned_of(url: str, is_read_by_others: bool, secret) -> None:
    warning = warn_of_plain_text(URL(f"{url}?key={secret}"), [secret])
    assert bool(warning) is (is_read_by_others and secret == KEY)
    assert KEY not in warning
    assert not warning or "https://" in warning
