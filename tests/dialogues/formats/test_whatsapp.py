from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from efficient_empathy.dialogues import inspect_source, open_source
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError

Write = Callable[..., Path]
ANDROID = """\
12/31/23, 9:40 PM - Messages and calls are end-to-end encrypted. Only people in this chat can read them.
12/31/23, 9:41 PM - Ann: The new year scares me
I do not know why: it is only a date
12/31/23, 9:41 PM - Ann: <Media omitted>
12/31/23, 9:43 PM - Bob: That makes sense.

We can count down together
12/31/23, 9:44 PM - Ann: IMG-20231231-WA0001.jpg (file attached)
My view
12/31/23, 9:45 PM - Ann: This message was deleted
12/31/23, 9:46 PM - Bob: Lovely <This message was edited>
"""
IPHONE = """\
[31.12.23, 21:40:00] Ann: \u200eNachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt.
[31.12.23, 21:41:05] Ann: The new year scares me
I do not know why: it is only a date
\u200e[31.12.23, 21:41:30] Ann: \u200eBild weggelassen
[31.12.23, 21:43:00] Bob: That makes sense.

We can count down together
[31.12.23, 21:44:00] Ann: My view \u200e<Anhang: 00000012-PHOTO.jpg>
[31.12.23, 21:46:00] \u202aBob\u202c: Lovely \u200e<Diese Nachricht wurde bearbeitet.>
"""
TURNS = [
    "The new year scares me\nI do not know why: it is only a date",
    "That makes sense.\n\nWe can count down together",
    "My view",
    "Lovely",
]


def texts(sample: object) -> list[str]:
    return [*(turn.text for turn in sample.context), sample.response]  # type: ignore[attr-defined]


@pytest.mark.parametrize("chat", [ANDROID, IPHONE, IPHONE.replace("\n", "\r\n"), "\ufeff" + ANDROID])
def test_both_kinds_of_export_give_the_same_dialogue(write: Write, chat: str) -> None:
    source = open_source(write("chat.txt", chat))
    samples = list(source)
    assert source.format == "whatsapp"
    assert [texts(sample) for sample in samples] == [TURNS[:2], TURNS]
    assert source.intake.repairs["media and notices of the app left out"] in (3, 4)


@pytest.mark.parametrize(
    "line",
    [
        "31/12/2023, 21:41 - {}",
        "31.12.23, 21:41 - {}",
        "31.12.23 21:41 – {}",
        "[31.12.2023 klo 21.41.05] {}",
        "[2023/12/31, 21:41:05] {}",
        "2023-12-31, 9:41 p. m. - {}",
        "12/31/23, 9:41\u202fPM - {}",
        "\u200e[12/31/23, 9:41:05\u202fPM] {}",
        "2023. 12. 31. 오후 9:41 - {}",
        "[31/12/23 à 21:41:05] {}",
    ],
)
def test_every_locales_times_are_read(write: Write, line: str) -> None:
    chat = "\n".join(line.format(message) for message in ("Ann: Hi.", "Bob: Hello."))
    [sample] = open_source(write("chat.txt", chat))
    assert texts(sample) == ["Hi.", "Hello."]


def chat_of(*messages: str, start: int = 10) -> str:
    return "\n".join(f"01/02/2024, {start}:{minute:02} - {message}" for minute, message in enumerate(messages))


def test_the_first_to_speak_is_the_speaker_unless_a_role_says_who_is(write: Write) -> None:
    path = write("chat.txt", chat_of("Bob: How are you?", "Ann: Sad.", "Bob: Oh no."))
    [sample] = open_source(path)
    assert texts(sample) == ["How are you?", "Sad."]
    for roles in ({"ann": "speaker"}, {"Bob": "listener"}):
        source = open_source(path, ReadingSettings(roles=roles))
        assert [texts(sample) for sample in source] == [["Sad.", "Oh no."]]
        assert source.intake.repairs == {"opening listener turns left out": 1}


def test_a_name_that_is_a_role_elsewhere_is_a_name_here(write: Write) -> None:
    [sample] = open_source(write("chat.txt", chat_of("Claude: I am ill.", "User: Rest well.")))
    assert texts(sample) == ["I am ill.", "Rest well."]


GROUP = chat_of("Ann: Hi.", "Bob: Hello.", "Ann: I am sad.", "Cem Ay: Me too.", "Bob: Come over.")


def test_of_a_group_the_roles_to_pass_are_told(write: Write) -> None:
    path = write("chat.txt", GROUP)
    expected = (
        r"chat\.txt:1: a chat of 3 \(messages: Ann 2, Bob 2, Cem Ay 1\): say who is who, such as "
        r'--role "Ann=speaker" --role "Bob=listener" --role "Cem Ay=drop"'
    )
    with pytest.raises(UserError, match=expected):
        list(open_source(path))
    roles = {"Ann": "speaker", "Bob": "listener", "Cem Ay": "drop"}
    source = open_source(path, ReadingSettings(roles=roles))
    assert [texts(sample) for sample in source] == [["Hi.", "Hello."], ["Hi.", "Hello.", "I am sad.", "Come over."]]
    assert source.intake.repairs == {"turns left out by --role": 1}


def test_a_role_for_somebody_who_is_not_there_is_told(write: Write) -> None:
    with pytest.raises(UserError, match="--role maps 'dora', but no turn has that role"):
        list(
            open_source(write("chat.txt", chat_of("Ann: Hi.", "Bob: Hello.")), ReadingSettings(roles={"Dora": "drop"}))
        )


def test_a_pause_of_six_hours_ends_a_conversation(write: Write) -> None:
    morning, evening = chat_of("Ann: Hi.", "Bob: Hello."), chat_of("Ann: Bye.", "Bob: See you.", start=17)
    inspection = inspect_source(write("chat.txt", f"{morning}\n{evening}\n03/02/2024, 09:00 - Ann: Anybody?"))
    assert (inspection.samples, inspection.conversations) == (2, 2)
    assert [texts(sample) for sample in inspection.examples] == [["Hi.", "Hello."], ["Bye.", "See you."]]
    assert inspection.repairs == {"stretches of a chat without a reply left out": 1}


@pytest.mark.parametrize(
    ("chat", "reason"),
    [
        (chat_of("Ann: Hi.", "Ann: Hello?"), "a chat in which 'Ann' alone writes: it has no reply"),
        (chat_of("Ann: <Media omitted>", "You were added"), "no stretch of the chat has a speaker's turn"),
        (chat_of("Ann: Hi.\0", "Bob: Hello."), "holds a NUL byte"),
    ],
)
def test_a_chat_without_a_reply_is_a_bad_row(write: Write, chat: str, reason: str) -> None:
    inspection = inspect_source(write("chat.txt", chat))
    assert inspection.samples == 0
    assert reason in inspection.bad_row_examples[0].reason


def test_a_folder_with_a_chat_among_other_texts_is_read(write: Write) -> None:
    write("notes.txt", "Remember, the milk")
    write("empty.txt", "")
    path = write("_chat.txt", ANDROID)
    assert inspect_source(path.parent).samples == 2


def test_a_table_whose_cells_hold_times_stays_a_table(write: Write) -> None:
    path = write("a.csv", 'context,response\n"12/31/23, 9:41 PM - Ann: Hi.",Hello.\n')
    assert inspect_source(path).format == "table"
