import stat
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.server.links import Links


@pytest.fixture
def links(tmp_path):
    return Links(tmp_path / "state")


def test_a_link_opens_what_it_was_issued_for(links, tmp_path) -> None:
    link = links.issue(tmp_path, " Ann ")
    assert link.path == f"/rate?link={link.key}"
    found = links.check(link.key)
    assert found == link
    assert (found.annotator, found.root, found.works) == ("Ann", tmp_path.resolve(), True)
    assert found.expires_at == pytest.approx(time.time() + 30 * 86_400, abs=5)
    assert links.of(tmp_path) == [link]
    assert links.of(tmp_path / "other") == []


def test_a_link_ends_when_it_is_revoked_or_its_time_is_over(links, tmp_path) -> None:
    kept, revoked = links.issue(tmp_path, "Ann"), links.issue(tmp_path, "Bo")
    over = links.issue(tmp_path, "Cy", days=0)
    links.revoke(revoked.id)
    assert links.check(revoked.key) is None
    assert links.check(over.key) is None
    assert links.check(kept.key) == kept
    assert [link.works for link in links.of(tmp_path)] == [True, False, False]


def test_a_link_cannot_be_prolonged_or_made_elsewhere(links, tmp_path) -> None:
    link = links.issue(tmp_path, "Ann", days=1)
    id_, expires, signature = link.key.split(".")
    for key in (
        f"{id_}.{int(expires) + 1}.{signature}",
        f"{id_}.{expires}.{'0' * 64}",
        f"{id_}.{expires}",
        f"x{link.key}",
        f"{link.key}0",
        Links(tmp_path / "elsewhere").issue(tmp_path, "Ann").key,
    ):
        assert links.check(key) is None


@given(st.text(max_size=80))
def test_nothing_else_is_a_link(tmp_path_factory, key) -> None:
    links = Links(tmp_path_factory.getbasetemp() / "hypothesis-links")
    links.issue(tmp_path_factory.getbasetemp(), "Ann")
    assert links.check(key) is None


def test_checking_alone_makes_no_files(tmp_path) -> None:
    assert Links(tmp_path / "state").check("a.1.b") is None
    assert Links(tmp_path / "state").of(tmp_path) == []
    assert not (tmp_path / "state").exists()


def test_the_key_is_its_owners_alone_and_made_once(tmp_path) -> None:
    issued = []
    threads = [
        threading.Thread(target=lambda n=n: issued.append(Links(tmp_path / "state").issue(tmp_path, f"rater {n}")))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(Links(tmp_path / "state").check(link.key) for link in issued)
    assert len(issued) == 12
    assert stat.S_IMODE((tmp_path / "state" / "links.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert {path.name for path in (tmp_path / "state").iterdir()} == {"links.key", "links.sqlite"}


def test_a_link_needs_a_name_and_a_folder_that_can_be_written(links, tmp_path) -> None:
    with pytest.raises(UserError, match="needs a name"):
        links.issue(tmp_path, "  ")
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(UserError, match="see to its permissions"):
        Links(tmp_path / "file").issue(tmp_path, "Ann")
