import subprocess
import sys

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.server.runs import Runs, runs_under
from selected_runs import selected_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return selected_run(tmp_path_factory.mktemp("runs") / "mine", dialogues=6)


def made(*roots):
    for root in roots:
        root.mkdir(parents=True)
        (root / "manifest.json").write_text('{"stages": {}}', "utf-8")
    return roots


def test_a_run_is_found_by_its_folders_name(run) -> None:
    runs = Runs([run.root])
    assert runs.names == ("mine",)
    assert runs.workspace("mine").root == run.root.resolve()
    assert runs.name_of(run.root) == "mine"
    assert runs.name_of(run.root.parent) is None


def test_runs_of_one_name_are_told_apart_by_their_paths_and_a_run_given_twice_is_one(tmp_path) -> None:
    a, b, c = made(tmp_path / "x" / "one", tmp_path / "y" / "one", tmp_path / "z")
    assert Runs([a, b, c, a / ".." / "one"]).names == ("x/one", "y/one", "z")


def test_a_folder_that_is_no_run_is_refused_with_the_remedy(tmp_path) -> None:
    with pytest.raises(UserError, match=r"is no run's folder \(it has no samples.parquet\): name one"):
        Runs([tmp_path])
    with pytest.raises(UserError, match="is no folder: `efficient-empathy score SOURCE --run"):
        Runs([tmp_path / "nothing"])
    with pytest.raises(UserError, match="needs a run, or a folder to make runs in"):
        Runs([])


def test_a_folder_of_runs_has_those_that_are_made_in_it_later(tmp_path) -> None:
    b, a = made(tmp_path / "b", tmp_path / "a")
    (tmp_path / "sources").mkdir()
    assert runs_under(tmp_path) == [a, b]
    assert runs_under(tmp_path / "sources") == runs_under(tmp_path / "nowhere") == []
    runs = Runs([], tmp_path)
    assert runs.names == ("a", "b")
    made(tmp_path / "c")
    runs.look()
    assert runs.names == ("a", "b", "c")


def test_a_run_is_made_renamed_put_aside_and_deleted(tmp_path) -> None:
    (a,) = made(tmp_path / "a")
    runs = Runs([], tmp_path)
    made_run = runs.make("new.one")
    assert runs.names == ("a", "new.one")
    assert made_run.root.stat().st_mode & 0o777 == 0o700
    for name in ("a", "", ".", "..", "x/y", "-x", "x ", "archive", "x" * 81):
        with pytest.raises(UserError, match="no name for a run" if name != "a" else "already"):
            runs.make(name)
    runs.rename("a", "z")
    assert not a.exists()
    assert runs.names == ("z", "new.one")
    runs.archive("z")
    assert (tmp_path / "archive" / "z" / "manifest.json").is_file()
    assert runs.names == ("new.one",)
    runs.delete("new.one")
    assert list(tmp_path.iterdir()) == [tmp_path / "archive"]
    assert runs.names == ()


def test_a_run_that_a_process_is_working_on_is_neither_moved_nor_deleted(tmp_path) -> None:
    (root,) = made(tmp_path / "a")
    runs = Runs([root])
    holder = (
        "import sys; from efficient_empathy.foundation.run.workspace import Workspace\n"
        "with Workspace(sys.argv[1]).lock(): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        for change in (lambda: runs.rename("a", "b"), lambda: runs.archive("a"), lambda: runs.delete("a")):
            with pytest.raises(UserError, match="a process is working on a: wait for its end, or stop it first"):
                change()
        process.stdin.close()
    assert runs.rename("a", "b") == tmp_path / "b"
    assert runs.names == ("b",)


def test_an_unknown_name_is_told_with_those_that_there_are(run) -> None:
    with pytest.raises(UserError, match="no run 'other' here; there is mine"):
        Runs([run.root]).workspace("other")


@pytest.mark.parametrize(
    "parts",
    [("..", "secret"), ("selection", "..", "..", "secret"), ("/etc/passwd",), ("\0",), ("a" * 5000,), ("no-such",)],
)
def test_no_path_leads_out_of_a_run(run, parts) -> None:
    (run.root.parent / "secret").write_text("secret", "utf-8")
    runs = Runs([run.root])
    with pytest.raises(UserError):
        runs.file("mine", *parts)
    assert runs.file("mine", "selection", "discard.jsonl").is_file()


@pytest.mark.parametrize("place", ["scores.parquet", "selection/extra.jsonl", "generations"])
def test_a_symbolic_link_out_of_a_run_is_refused_and_one_within_it_is_not(tmp_path, place) -> None:
    (root,) = made(tmp_path / "run")
    outside = tmp_path / "secret"
    outside.mkdir()
    link = root / place
    link.parent.mkdir(exist_ok=True)
    (root / "within").symlink_to(root / "manifest.json")
    runs = Runs([root])
    assert runs.workspace("run").root == root
    link.symlink_to(outside)
    with pytest.raises(UserError, match=f"{link.name} leads out of the run run"):
        runs.workspace("run")


def test_a_run_may_itself_be_reached_by_a_symbolic_link(tmp_path) -> None:
    (root,) = made(tmp_path / "run")
    (tmp_path / "latest").symlink_to(root)
    assert Runs([tmp_path / "latest"]).workspace("run").root == root
