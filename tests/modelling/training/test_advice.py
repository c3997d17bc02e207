import pytest

from efficient_empathy.modelling.training.advice import advice
from efficient_empathy.modelling.training.record import HeldOutLoss, LoggedStep
from trained_runs import training_record


def trained(losses, *, rates=None, subset="all"):
    """A training of 100 steps with these held-out losses, at even distances; its rate falls to 0, or is `rates`."""
    rates = rates or [1 - step / 100 for step in range(100)]
    return training_record(
        "a",
        history=tuple(LoggedStep(step=step + 1, learning_rate=rate) for step, rate in enumerate(rates)),
        held_out=tuple(
            HeldOutLoss(step=round(100 * place / (len(losses) - 1)), loss={subset: loss})
            for place, loss in enumerate(losses)
        ),
    )


def test_a_loss_that_falls_as_the_learning_rate_lets_it_has_not_levelled_off() -> None:
    """Half of the steps have a quarter of a rate that falls to 0, and half of a constant one."""
    assert "was still falling when the training ended, after 100 steps" in advice(trained([4.0, 3.6, 3.3, 3.1, 3.0]))
    assert advice(trained([4.0, 3.4, 3.1, 3.02, 3.0])) == ""
    assert "still falling" in advice(trained([4.0, 3.75, 3.5, 3.25, 3.0], rates=[1.0] * 100))
    assert advice(trained([4.0, 3.6, 3.3, 3.1, 3.0], rates=[1.0] * 100)) == ""


def test_a_loss_that_rose_again_is_told_with_its_lowest_step() -> None:
    assert advice(trained([4.0, 3.0, 3.2, 3.5, 3.6])) == (
        "The held-out loss was lowest at step 25 of 100 (3.000 nats) and has risen to 3.600 since: train for fewer "
        "--epochs, or at a lower --learning-rate."
    )
    assert advice(trained([4.0, 3.1, 3.0, 3.01, 3.01])) == "", "that much is noise"


@pytest.mark.parametrize("losses", [[4.0, 3.0], [4.0, None, None], [4.0, 4.0, 4.0], [4.0, 3.999, 3.998]])
def test_where_little_is_known_or_gained_nothing_is_said(losses) -> None:
    assert advice(trained(losses)) == ""


def test_without_losses_over_all_nothing_is_said() -> None:
    assert advice(trained([4.0, 3.6, 3.3, 3.1, 3.0], subset="sensibility")) == ""
