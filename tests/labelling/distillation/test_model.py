from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason='needs the extra "train"')

import torch
import transformers

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.distillation import model
from efficient_empathy.labelling.distillation.model import Student, predict
from efficient_empathy.labelling.distillation.settings import StudentSettings


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    folder = tmp_path_factory.mktemp("base")
    transformers.BertModel(transformers.BertConfig(vocab_size=100, **sizes)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("has_bf16", [False, True])
def test_bf16_is_for_processors_that_have_it(base: Path, has_bf16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "multiplies_bf16", lambda: has_bf16)
    encoded = [([1, 5 + i, 7, 2, 40 + i, 2], 3) for i in range(4)]
    targets = np.eye(11, dtype=np.float32)[np.arange(8).reshape(4, 2)]
    seen: set[torch.dtype] = set()

    class Seen(Student):
        def forward(self, *arguments: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
            logits = super().forward(*arguments, **named)
            seen.add(logits.dtype)
            return logits

    monkeypatch.setattr(model, "Student", Seen)
    student = model.fit(base, encoded, targets, StudentSettings(epochs=1))
    predict(student, encoded)
    assert seen == {torch.bfloat16 if has_bf16 else torch.float32}


@pytest.mark.parametrize("kind", ["bert", "mpnet", "distilbert"])
def test_frozen_layers_stay_as_they_were_and_the_others_learn(kind: str, tmp_path: Path) -> None:
    sizes = {"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
    if kind == "distilbert":
        sizes = {"vocab_size": 100, "dim": 32, "n_layers": 4, "n_heads": 2, "hidden_dim": 64}
    transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **sizes)).save_pretrained(tmp_path)
    encoded = [([1, 5 + i, 7, 2, 40 + i, 2], 3) for i in range(4)]
    targets = np.eye(11, dtype=np.float32)[np.arange(8).reshape(4, 2)]
    before = Student(tmp_path, 2, 11, 0.0).encoder.state_dict()
    student = model.fit(tmp_path, encoded, targets, StudentSettings(epochs=2, frozen_layers=0.5))
    changed = {name for name, tensor in student.encoder.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {name.split("layer.")[1][0] for name in changed} == {"2", "3"}
    assert all("layer." in name for name in changed)


def test_an_encoder_without_a_list_of_layers_cannot_be_frozen(base: Path) -> None:
    student = Student(base, 2, 11, 0.0)
    student.encoder.encoder.layer = torch.nn.Sequential(*student.encoder.encoder.layer)
    student.freeze(0.0)
    with pytest.raises(UserError, match="in no list, so that none can be frozen"):
        student.freeze(0.5)
