import hashlib
import os
import signal
import time

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.moe import folder
from efficient_empathy.modelling.moe.folder import whole
from forked_command import ForkedCommand

KILLED = """
import os, sys
from pathlib import Path
from efficient_empathy.modelling.moe.compose import compose

at, where, count = int(sys.argv[1]), Path(sys.argv[2]), 0

def die(_):
    global count
    count += 1
    if count == at:
        os.kill(os.getpid(), 9)

compose(sys.argv[3:], where, shard_bytes=60_000, on_bytes=die)
"""


def digests(path):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(path.iterdir())}


def names(path):
    return sorted(p.name for p in path.iterdir())


def test_a_block_that_fails_leaves_what_was_there(tmp_path) -> None:
    out = tmp_path / "model"
    with whole(out) as work:
        (work / "a").write_text("first")
    with pytest.raises(RuntimeError), whole(out) as work:
        (work / "a").write_text("second")
        assert names(tmp_path) == [".model.work", "model"]
        raise RuntimeError
    assert (out / "a").read_text() == "first"
    assert names(tmp_path) == ["model"]
    with whole(out) as work:
        (work / "b").write_text("third")
    assert names(out) == ["b"]
    assert names(tmp_path) == ["model"]


def test_a_folder_moved_aside_by_a_killed_process_comes_back(tmp_path) -> None:
    (tmp_path / ".model.old").mkdir()
    (tmp_path / ".model.old" / "a").write_text("first")
    (tmp_path / ".model.work").mkdir()
    folder.sweep(tmp_path / "model")
    assert names(tmp_path) == ["model"]
    assert (tmp_path / "model" / "a").read_text() == "first"


def test_where_nothing_can_be_written_one_sentence_says_so(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"), whole(tmp_path / "file" / "model"):
        pass


@pytest.mark.parametrize("tensors", [1, 7, 27])
def test_a_compose_that_was_killed_leaves_nothing_that_looks_whole(made, tmp_path, tensors) -> None:
    pytest.importorskip("torch", reason='needs the extra "train"')
    experts = [str(made("llama", seed)) for seed in (0, 1)]
    from efficient_empathy.modelling.moe.compose import compose

    compose(experts, tmp_path / "undisturbed" / "moe", shard_bytes=60_000)
    place = tmp_path / "killed"
    killed = ForkedCommand(tensors, place / "moe", *experts, program=KILLED)
    said = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, said
    assert names(place) == [".moe.work"]
    assert not (place / ".moe.work" / "config.json").exists()
    compose(experts, place / "moe", shard_bytes=60_000)
    assert names(place) == ["moe"]
    assert digests(place / "moe") == digests(tmp_path / "undisturbed" / "moe")


def test_killed_at_any_moment_the_rerun_is_the_undisturbed_run(made, tmp_path) -> None:
    """By the clock, where `EMPATHY_KILLS` says how often: two moments by default."""
    pytest.importorskip("torch", reason='needs the extra "train"')
    from efficient_empathy.modelling.moe.compose import compose

    experts = [str(made("llama", seed)) for seed in (0, 1)]
    compose(experts, tmp_path / "undisturbed", shard_bytes=60_000)
    expected = digests(tmp_path / "undisturbed")
    kills = int(os.environ.get("EMPATHY_KILLS", "2"))
    for number in range(kills):
        out = tmp_path / str(number) / "moe"
        compose(experts[::-1], out, shard_bytes=60_000)
        before = digests(out)
        child = ForkedCommand(-1, out, *experts, program=KILLED)
        deadline = time.monotonic() + 0.02 + 0.15 * number / kills
        while child.returncode is None and time.monotonic() < deadline:
            pass
        child.kill()
        said = child.communicate(timeout=120)
        assert child.returncode in (0, -signal.SIGKILL), said
        folder.sweep(out)
        assert digests(out) in (before, expected)
        compose(experts, out, shard_bytes=60_000)
        assert digests(out) == expected
