"""Links in a source's folder, which whoever made it chose."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from efficient_empathy.dialogues import inspect_source, read
from efficient_empathy.foundation.errors import UserError

ROWS = "context,response\nI lost my keys,oh no\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text(ROWS, "utf-8")
    (tmp_path / "diary.csv").write_text(ROWS.replace("keys", "secret"), "utf-8")
    (tmp_path / "data" / "b.csv").symlink_to(tmp_path / "diary.csv")
    return tmp_path / "data"


def test_a_link_that_leads_out_of_a_folder_is_left_out_and_said(folder: Path) -> None:
    assert read(folder).height == 1
    assert [path.name for path in inspect_source(folder).skipped_files] == ["b.csv"]
    assert read(folder / "b.csv").height == 1, "one that is named is the user's own word"
    (folder / "a.csv").unlink()
    with pytest.raises(UserError, match=r"has only links that lead out of it, such as b.csv: pass what they lead to"):
        read(folder)


def test_links_inside_circles_pipes_and_sockets_do_no_harm(folder: Path) -> None:
    (folder / "b.csv").unlink()
    (folder / "self.csv").symlink_to(folder / "self.csv")
    (folder / "up").symlink_to(folder)
    os.mkfifo(folder / "pipe.csv")
    assert read(folder).height == 1
    (folder / "c.csv").symlink_to(folder / "a.csv")
    assert read(folder).height == 2
