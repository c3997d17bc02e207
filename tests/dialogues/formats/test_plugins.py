"""A format of an installed package, as the command and recognition see it."""

import json
import sys
from pathlib import Path

import pytest

from efficient_empathy.dialogues.formats import find_reader, format_names, recognise_format
from efficient_empathy.foundation.errors import UserError
from forked_command import ForkedCommand
from installed_package import install_package

READER = '''
from efficient_empathy.dialogues.rows import each, text_of
from efficient_empathy.dialogues.turns.conversation import pair


class Letters:
    """`letter` is answered by `answer`; a "response" beside it is none of ours."""

    name = "letters"
    help = "`letter`, `answer`"

    def recognises(self, row):
        return "letter" in row

    def samples(self, rows, intake):
        def convert(row):
            yield pair([("speaker", text_of(row.values, "letter"))], text_of(row.values, "answer"), row, intake)

        return each(rows, intake, convert)


class Renamed(Letters):
    name = "notes"


class Bare:
    name = "bare"


def broken():
    raise RuntimeError("no ink")


class Impostor(Letters):
    name = "table"
'''
GROUP = "efficient_empathy.formats"
ROW = {"letter": "my cat died", "answer": "I am so sorry.", "context": "x", "response": "y"}


@pytest.fixture
def install(tmp_path, monkeypatch):
    def run(**points: str) -> Path:
        entries = {name: f"letter_format:{value}" for name, value in points.items()}
        site = install_package(tmp_path / "site", "letter-format", {"letter_format.py": READER}, {GROUP: entries})
        monkeypatch.syspath_prepend(str(site))
        return site

    yield run
    sys.modules.pop("letter_format", None)


def run(site: Path, *arguments: object) -> dict:
    command = ForkedCommand(*arguments, "--json", before=f"import sys\nsys.path.insert(0, {str(site)!r})")
    out, err = command.communicate(timeout=120)
    assert command.returncode == 0, err
    return json.loads(out)


def test_the_command_recognises_and_scores_it(install, tmp_path) -> None:
    site = install(letters="Letters")
    source = tmp_path / "letters.jsonl"
    source.write_text(json.dumps(ROW) + "\n" + json.dumps({"letter": "I won!", "answer": ""}) + "\n")
    seen = run(site, "inspect", source)
    assert (seen["format"], seen["samples"], seen["bad_rows"]) == ("letters", 1, 1)
    assert seen["examples"][0]["response"] == "I am so sorry."
    scored = run(site, "score", source, "--run", tmp_path / "run", "--on-bad-row", "skip")
    assert (scored["samples"], scored["states"]["ok"]) == (1, 1)


def test_it_stands_before_the_table_and_after_our_own(install) -> None:
    install(letters="Letters")
    assert format_names()[-1] == "letters"
    reader = recognise_format([ROW])
    assert reader is not None
    assert reader.name == "letters"
    ours = recognise_format([ROW, {**ROW, "evaluation": "x"}])
    assert ours is not None
    assert ours.name == "judged"


def test_ours_keep_their_names(install) -> None:
    install(table="Impostor")
    assert format_names().count("table") == 1
    assert type(find_reader("table")).__module__.startswith("efficient_empathy")


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("letters", "Renamed", "calls itself 'notes'"),
        ("bare", "Bare", "has no help"),
        ("broken", "broken", "cannot be made: no ink"),
        ("gone", "Gone", "cannot be loaded"),
    ],
)
def test_one_that_breaks_the_contract_names_its_package(install, name: str, value: str, fault: str) -> None:
    install(**{name: value})
    with pytest.raises(UserError, match=f"the format {name} of the package letter-format {fault}"):
        find_reader(name)
    assert find_reader("messages").name == "messages"
