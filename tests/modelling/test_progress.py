"""What a training looks like while it runs, where there is no terminal."""

import io

import pytest

from efficient_empathy.foundation.console import Console
from efficient_empathy.modelling.generation.backends import Reply
from efficient_empathy.modelling.progress import GenerationProgress, TrainingProgress, progress_bar


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("efficient_empathy.modelling.progress.time.monotonic", lambda: now[0])
    return now


def test_a_slow_training_tells_its_first_measurement_and_the_time_of_a_step(clock) -> None:
    text = io.StringIO()
    with TrainingProgress(Console(file=text), "training a") as progress:
        for clock[0], done in ((5, 8), (11, 16), (12, 24)):
            progress.held_out(done, 24)
        for step in range(1, 4):
            clock[0] += 30
            progress(step, 12, 2.5)
        clock[0] += 100
        progress(12, 12, 2.25)
    assert text.getvalue().splitlines() == [
        "training a: held-out loss: 16 of 24 samples",
        "training a: step 1 of 12, loss 2.500",
        "training a: step 2 of 12, loss 2.500, 30 s each, 5 min 0 s left",
        "training a: step 3 of 12, loss 2.500, 30 s each, 4 min 30 s left",
        "training a: step 12 of 12, loss 2.250, 15 s each",
    ]


def test_on_a_terminal_the_bar_has_both() -> None:
    text = io.StringIO()
    with TrainingProgress(Console(file=text, force_terminal=True, width=140), "training a") as progress:
        progress.held_out(8, 24)
        progress._bar.refresh()
        progress(1, 12, 2.5)
    assert "held-out loss: 8 of 24 samples" in text.getvalue()
    assert "1/12" in text.getvalue()
    assert "loss 2.500" in text.getvalue()


def test_slow_answers_tell_how_long_each_takes(clock) -> None:
    text = io.StringIO()
    with GenerationProgress(Console(file=text), "moe", 10, 4) as progress:
        clock[0] = 20
        progress.update([Reply(i, "yes", "stop", completion_tokens=20) for i in range(2)])
        clock[0] = 21
    assert text.getvalue().splitlines()[0] == "moe: answered 6 of 10 (2 tokens/s · 10 s each)"


def test_what_has_no_bar_says_that_it_has_begun_and_how_far_it_is(clock) -> None:
    text = io.StringIO()
    with progress_bar(Console(file=text), "averaging") as tell:
        for clock[0], done in ((5, 1), (11, 2), (12, 3), (30, 4)):
            tell(done, 4)
    assert text.getvalue() == "averaging …\naveraging: 50%\naveraging: 100%\n"
