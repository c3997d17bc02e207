from efficient_empathy.modelling.generation.backends import Reply
from efficient_empathy.modelling.generation.replies import Journal

ONE, TWO = Reply(0, "Oh no \u2028 so sorry", "stop", 9, 4), Reply(0, None, "error", 0, 0, "timed out", 0.5)


def kept(path, key="k"):
    return Journal(path, key).read()


def write(path, key="k", anew=True):
    with Journal(path, key).open(anew=anew) as journal:
        journal.commit_usd(0.25)
        journal.append(["a", "b"], [ONE, TWO], 1.5)
        journal.append(["c"], [ONE], 0.5)


def test_what_was_appended_is_found_again(tmp_path):
    write(tmp_path / "j")
    found = kept(tmp_path / "j")
    assert found.by_sample == {"a": ONE, "b": TWO, "c": ONE}
    assert (found.seconds, found.cost_usd) == (2.0, 0.25)
    assert kept(tmp_path / "none").by_sample == {}


def test_a_line_cut_by_a_kill_does_not_count_at_any_length(tmp_path):
    path = tmp_path / "j"
    write(path)
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, len(whole) - 1) + 1
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        assert set(kept(path).by_sample) == {"a", "b"}
        assert path.stat().st_size == last
    with Journal(path, "k").open(anew=False) as journal:
        journal.append(["d"], [ONE], 0.0)
    assert set(kept(path).by_sample) == {"a", "b", "d"}


def test_another_key_gives_up_the_replies_and_keeps_the_dollars(tmp_path):
    write(tmp_path / "j")
    journal = Journal(tmp_path / "j", "other")
    found = journal.read()
    assert (found.by_sample, found.cost_usd, journal.holds_ours) == ({}, 0.25, False)
    assert set(kept(tmp_path / "j").by_sample) == {"a", "b", "c"}
