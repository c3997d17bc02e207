import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.training.settings import TrainingSettings, load_settings


def test_the_defaults_are_the_papers() -> None:
    settings = TrainingSettings()
    assert (settings.method, settings.lora.r, settings.lora.alpha, settings.lora.dropout) == ("lora", 8, 32, 0.1)
    assert (settings.learning_rate, settings.batch_size, settings.epochs, settings.max_length) == (1e-4, 16, 1, 512)
    assert settings.adapter().modules() == [
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    ]  # fmt: skip


def test_mlp_only_leaves_attention_alone() -> None:
    for settings in (TrainingSettings(mlp_only=True), load_settings(None, {"lora.targets": "mlp_only"})):
        assert settings.adapter().modules() == ["gate_proj", "up_proj", "down_proj"]


def test_changes_win_over_the_file_and_reach_into_sections(tmp_path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("learning_rate: 1e-5\nlora:\n  r: 16\n  dropout: 0\nepochs: 3\n")
    settings = load_settings(file, {"lora.r": "4", "epochs": 2})
    assert (settings.learning_rate, settings.lora.r, settings.lora.dropout, settings.epochs) == (1e-5, 4, 0, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learnig_rate": "1"}, "learnig_rate is no key: did you mean learning_rate"),
        ({"lora.rank": "1"}, r"lora\.rank is no key"),
        ({"epochs": "0"}, "epochs: .*greater than 0"),
        ({"learning_rate": ".nan"}, "learning_rate: .*finite"),
        ({"epochs": "[1"}, "cannot set epochs: .* is not YAML"),
        ({"seed": "3", "seed.x": "1"}, "cannot set seed.x: seed is no section"),
    ],
)
def test_what_is_no_setting_is_told_by_its_name(changes, message) -> None:
    with pytest.raises(UserError, match=message):
        load_settings(None, changes)


def test_a_file_that_is_none_is_told(tmp_path) -> None:
    with pytest.raises(UserError, match="cannot read the training settings"):
        load_settings(tmp_path / "absent.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(UserError, match="must be a mapping"):
        load_settings(tmp_path / "list.yaml")
