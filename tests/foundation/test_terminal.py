"""No byte of a stranger that a terminal would obey reaches one, whichever way it takes."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from efficient_empathy.foundation.console import Console, bar
from efficient_empathy.foundation.errors import mask
from efficient_empathy.foundation.terminal import PlainStream, json_text, visible
from pseudo_terminal import commands_on_a_terminal, obeyed, on_a_terminal

EVIL = "\x1b]0;PWNED\x07\x1b[31m\x9b2J\u202eb\u2066"
ROWS = [
    {
        "category": f"a{EVIL}",
        "messages": [
            {"role": "user", "content": f"hi \x1b]52;c;cm0gLXJm\x07 {i} \x1b[2J"},
            {"role": "assistant", "content": f"\x1b]8;;http://evil\x07click\x1b]8;;\x07 {i}"},
        ],
    }
    for i in range(3)
]


def test_what_a_terminal_obeys_is_written_out() -> None:
    assert visible("a\x1b[2J\x07 \x9b1m \x7f \u202eb\u2029 \udce9") == (
        "a\\x1b[2J\\x07 \\x9b1m \\x7f \\u202eb\\u2029 \\udce9"
    )
    same = "line\nline\r\n\ttab, ü, 日本語, שלום, 👩‍💻, [red]x[/red]"
    assert visible(same) == same


def test_json_keeps_every_letter_and_shows_no_control_character() -> None:
    value = {"é" + EVIL: [f"日本{EVIL}", "\udce9", 1.5, None]}
    text = json_text(value)
    assert not obeyed(text)
    assert "é" in text
    assert "日本" in text
    assert json.loads(text) == value


def test_the_console_prints_names_as_they_are_and_neither_sequences_nor_markup_nor_links() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=200)
    name = f"[red]m{{x}}[/] [link=http://evil]k[/link] :smile: {EVIL}"
    console.print(name, style="bold red")
    with bar(console, "rate") as progress:
        task = progress.add_task(name, total=2, rate=name)
        progress.update(task, completed=1)
        print(f"\x1b]8;;http://evil\x1b\\past the console {EVIL}")
        progress.print(name)
    output = file.getvalue()
    assert not obeyed(output)
    assert "past the console" in output
    assert output.count("[red]m{x}[/] [link=http://evil]k[/link] :smile: \\x1b]0;PWNED") >= 3


def test_whatever_prints_past_the_console_is_written_out_too() -> None:
    mask.add(["a-key-of-this-test"])
    file = io.StringIO()
    stream = PlainStream(file, redacts=True)
    print(f"{EVIL} a-key-of-this-test https://u:pw@host/v1?token=abc", file=stream)
    stream.writelines([EVIL])
    assert not obeyed(file.getvalue())
    assert "[key] https://host/v1?token=[key]" in file.getvalue()


PAST_THE_CONSOLE = """
import asyncio, logging, sys, warnings
from efficient_empathy.foundation.terminal import guard_streams
guard_streams()
EVIL = sys.argv[1]

async def forgotten():
    async def fails():
        raise OSError(EVIL)
    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task

asyncio.run(forgotten())
warnings.warn(EVIL)
logging.warning(EVIL)
print(EVIL)
sys.stdout.write("no letter is missing: \\udce9\\n")
raise RuntimeError(EVIL)
"""


def test_tracebacks_warnings_logs_and_forgotten_tasks_do_not_get_through(tmp_path: Path) -> None:
    output = on_a_terminal(PAST_THE_CONSOLE, EVIL, cwd=tmp_path)
    assert not obeyed(output)
    for one in ("exception was never retrieved", "UserWarning: \\x1b]0;", "WARNING:root:\\x1b]0;",
                "RuntimeError: \\x1b]0;", "missing: \\udce9"):  # fmt: skip
        assert one in output


def test_an_output_of_few_letters_ends_no_command(tmp_path: Path) -> None:
    code = "from efficient_empathy.foundation.terminal import guard_streams; guard_streams(); print('ü → 日')"
    output = on_a_terminal(code, cwd=tmp_path, environment={"PYTHONIOENCODING": "ascii"})
    assert output.strip() == "\\xfc \\u2192 \\u65e5"


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of Unix")
def test_dialogues_names_and_wrong_options_leave_the_terminal_alone(tmp_path: Path) -> None:
    name = f"a{EVIL}"
    (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, ROWS)), "utf-8")
    output = commands_on_a_terminal(
        [
            ["inspect", f"{name}.jsonl"],
            ["inspect", f"{name}.jsonl", "--json"],
            ["score", f"{name}.jsonl", "--run", name],
            ["score", f"{name}.jsonl", "--run", name, "--judge", "openai", "--model", name, "--show-prompt", "1"],
            ["select", "--run", name],
            ["select", "--run", name, "--json"],
            ["select", "--run", name, "--policy", EVIL],
            ["analytics", "--run", name],
            ["sweep", "--run", name],
            ["predict", f"{name}.jsonl"],
            ["report", "--run", f"no{EVIL}"],
            ["score", "x.jsonl", f"--{EVIL}"],
            [EVIL],
        ],
        tmp_path,
    )
    assert not obeyed(output)
    assert "Traceback" not in output
    for one in ("1: a\\x1b]0;PWNED", "3 ok", "Policy paper", "there is no policy", "No such option", "No such command"):
        assert one in output


def test_names_that_are_no_utf8_are_one_sentence_wherever_they_stand(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / os.fsdecode(b"caf\xe9.jsonl")).write_text("\n".join(map(json.dumps, ROWS)), "utf-8")
    code = "import sys; from efficient_empathy.cli import main; main()"
    for arguments in (
        [b"score", b"caf\xe9.jsonl", b"--run", b"r"],
        [b"select", b"--run", b"caf\xe9"],
        [b"inspect", folder],
    ):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 1
        assert b"caf\\udce9" in done.stderr
        assert done.stderr.endswith(b"has bytes that are no UTF-8: rename the file or folder\n")
        assert b"Traceback" not in done.stderr
