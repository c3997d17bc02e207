import json
import math
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("trl", reason='needs the extra "train"')

import torch
from safetensors.torch import load_file

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.modelling.training import trainer
from efficient_empathy.modelling.training.examples import encode
from efficient_empathy.modelling.training.fit import fit
from efficient_empathy.modelling.training.models import load_model, load_tokenizer
from efficient_empathy.modelling.training.record import FitRecord, TokenCount
from efficient_empathy.modelling.training.settings import TrainingSettings
from tiny_models import tiny_model

FULL = TrainingSettings(method="full", learning_rate=3e-3, batch_size=8, precision="fp32", epochs=2)
LORA = TrainingSettings(learning_rate=1e-2, batch_size=8, precision="fp32")


def rows(n: int = 48, word: str = "oh no ") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(n)],
            "prompt": [[{"role": "user", "content": f"I lost {i} " + "keys and " * (i % 5)}] for i in range(n)],
            "completion": [[{"role": "assistant", "content": word * (1 + i % 3)}] for i in range(n)],
        }
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("base"), scale=2)


def fitted(base, out, settings=LORA, data=None, held_out=None, **options):
    model = load_model(base, dtype="fp32")
    return fit(model, load_tokenizer(base), rows() if data is None else data, held_out or {}, settings, out, **options)


def test_the_loss_falls_and_the_history_tells_it(base, tmp_path) -> None:
    groups = {"first": rows().head(10), "all": rows(), "none": rows().clear()}
    steps, measured = [], []
    tell = {"on_step": lambda *step: steps.append(step), "on_held_out": lambda *at: measured.append((len(steps), *at))}
    result = fitted(base, tmp_path, FULL, held_out=groups, **tell)
    total = len(rows())
    assert [step for step, *at in measured if at == [total, total]] == [0, 3, 6, 9, 12]
    assert [step[:2] for step in steps] == [(i, 12) for i in range(1, 13)]
    assert all(math.isfinite(loss) for *_, loss in steps)
    assert result.record.steps == 12
    assert result.record.history[0].step == 1
    assert result.record.history[-1].step == 12
    assert result.record.history[-1].loss < result.record.history[0].loss - 1
    assert [line.step for line in result.record.held_out] == [0, 3, 6, 9, 12]
    assert set(result.record.held_out[0].loss) == {"first", "all"}
    assert result.record.held_out[-1].loss["all"] < result.record.held_out[0].loss["all"] - 1
    samples = encode(rows(), load_tokenizer(base)).samples
    assert result.record.tokens == TokenCount(
        all=2 * sum(len(s.ids) for s in samples), response=2 * sum(s.response_tokens for s in samples)
    )
    result.record.write(tmp_path / "fitted.json")
    assert FitRecord.read(tmp_path / "fitted.json") == result.record


def test_the_loss_is_trls_own(base, tmp_path) -> None:
    """One step on the whole data: the mean over response tokens, as TRL's trainer computes it from all positions."""
    import datasets
    from transformers.trainer_callback import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    tokenizer, data = load_tokenizer(base), rows(8)
    ours = fitted(base, tmp_path / "ours", FULL.model_copy(update={"epochs": 1}), data, save=False, optim="sgd")
    samples = encode(data, tokenizer).samples
    theirs = SFTTrainer(
        load_model(base, dtype="fp32"),
        args=SFTConfig(output_dir=str(tmp_path / "theirs"), per_device_train_batch_size=8, learning_rate=3e-3,
                       bf16=False, optim="sgd",
                       num_train_epochs=1, logging_steps=1, report_to="none", use_cpu=True, disable_tqdm=True,
                       gradient_checkpointing=False, save_strategy="no",
                       dataset_kwargs={"skip_prepare_dataset": True}),
        train_dataset=datasets.Dataset.from_dict({
            "input_ids": [s.ids for s in samples], "labels": [[-100] * s.start + s.ids[s.start :] for s in samples],
        }),
        processing_class=tokenizer,
    )  # fmt: skip
    theirs.remove_callback(PrinterCallback)
    theirs.train()
    assert ours.record.history[0].loss == pytest.approx(theirs.state.log_history[0]["loss"], rel=1e-5)
    for name, parameter in theirs.model.named_parameters():
        assert torch.allclose(parameter, ours.model.get_parameter(name), atol=1e-5), name


def test_an_adapter_trains_what_it_says(base, tmp_path) -> None:
    result = fitted(base, tmp_path, LORA.model_copy(update={"mlp_only": True}))
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    assert {name.split(".")[-3] for name in tensors} == {"gate_proj", "up_proj", "down_proj"}
    assert result.record.trainable_parameters == sum(tensor.numel() for tensor in tensors.values())
    assert {p.name for p in tmp_path.iterdir()} >= {"adapter_config.json", "tokenizer.json", "chat_template.jinja"}
    assert not list(tmp_path.glob("*.bin"))


TRAINS_IN_A_PROCESS_OF_ITS_OWN = """
import sys
from pathlib import Path
from test_fit import LORA, fitted
fitted(Path(sys.argv[1]), Path(sys.argv[2]), LORA.model_copy(update={"max_steps": 1}))
"""


def test_the_same_training_leaves_the_same_bytes_in_any_process(base, tmp_path) -> None:
    places = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = {**os.environ, "PYTHONPATH": places, "PYTHONHASHSEED": seed}
    arguments = [str(base), str(tmp_path / "there")]
    subprocess.run([sys.executable, "-c", TRAINS_IN_A_PROCESS_OF_ITS_OWN, *arguments], env=environment, check=True)
    fitted(base, tmp_path / "here", LORA.model_copy(update={"max_steps": 1}))
    contents = [
        {path.name: path.read_bytes() for path in (tmp_path / place).iterdir() if path.is_file()}
        for place in ("here", "there")
    ]
    assert "adapter_config.json" in contents[0]
    assert contents[0] == contents[1]


def moved(base, out, settings, **options) -> set[str]:
    before = dict(load_model(base, dtype="fp32").named_parameters())
    model = fitted(base, out, settings, **options).model
    return {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}


def test_exactly_what_is_to_be_trained_moves(base, tmp_path) -> None:
    names = {name for name, _ in load_model(base).named_parameters()}
    assert moved(base, tmp_path / "full", FULL) == names
    mlp = {name for name in names if ".mlp." in name}
    assert moved(base, tmp_path / "mlp", FULL.model_copy(update={"mlp_only": True})) == mlp
    gates = {name for name in names if name.endswith(".gate_proj.weight")}
    assert moved(base, tmp_path / "gates", LORA, trainable=r"\.gate_proj\.weight$") == gates
    with pytest.raises(UserError, match="no parameter of LlamaForCausalLM matches"):
        fitted(base, tmp_path / "none", LORA, trainable="router")


def test_the_configuration_is_left_as_it_was(base, tmp_path) -> None:
    def config(folder) -> tuple[dict, dict]:
        return tuple(json.loads((folder / f"{name}.json").read_text()) for name in ("config", "generation_config"))

    fitted(base, tmp_path, FULL.model_copy(update={"gradient_checkpointing": True}))
    assert config(tmp_path) == config(base)
    assert "use_cache" not in config(tmp_path)[0] or config(tmp_path)[0]["use_cache"] is True


def test_accumulated_batches_give_the_gradient_of_one_large_batch(base, tmp_path) -> None:
    plain = FULL.model_copy(update={"epochs": 1, "packing": False, "batch_size": 16})
    small = plain.model_copy(update={"batch_size": 4, "gradient_accumulation": 4})
    once, often = (fitted(base, tmp_path / str(s.batch_size), s) for s in (plain, small))
    assert once.record.steps == often.record.steps == 3
    assert once.record.tokens == often.record.tokens
    for name, parameter in once.model.named_parameters():
        assert torch.allclose(parameter, often.model.get_parameter(name), atol=2e-5), name


def test_a_batch_goes_in_parts_that_fit_and_learns_the_same(base, tmp_path, monkeypatch) -> None:
    settings = FULL.model_copy(update={"epochs": 1, "batch_size": 16})
    results = []
    for most in (10**6, 100):
        monkeypatch.setattr(trainer, "PASS_TOKENS", most)
        model, sizes = load_model(base, dtype="fp32"), []
        model.register_forward_pre_hook(
            lambda _, args, named, sizes=sizes: sizes.append(named["input_ids"].shape), with_kwargs=True
        )
        data = rows(32)
        results.append(fit(model, load_tokenizer(base), data, {}, settings, tmp_path / str(most), optim="sgd"))
        assert sum(samples for samples, _ in sizes) == 32
        assert all(samples == 1 or samples * width <= most for samples, width in sizes)
        assert len(sizes) > 2 if most == 100 else len(sizes) == 2
    once, parts = results
    assert parts.record.history[-1].loss == pytest.approx(once.record.history[-1].loss, rel=1e-5)
    for name, parameter in once.model.named_parameters():
        assert torch.allclose(parameter, parts.model.get_parameter(name), atol=1e-5), name


def test_checkpoints_of_other_data_are_never_resumed(base, tmp_path) -> None:
    stop = RuntimeError("stop")

    def stop_at(step: int, steps: int, loss: float) -> None:
        if step == 5:
            raise stop

    settings = LORA.model_copy(update={"save_every": 2})
    for data in (rows(), rows(word="oh yes ")):
        with pytest.raises(RuntimeError, match="stop"):
            fitted(base, tmp_path, settings, data, on_step=stop_at)
        assert (tmp_path / "checkpoints" / "checkpoint-4").exists()
    assert fitted(base, tmp_path, settings, rows(word="oh yes ")).record.resumed_from == 4
    other = tiny_model(tmp_path / "other", seed=5)
    assert fitted(other, tmp_path, settings, rows(word="oh yes ")).record.resumed_from == 0


def test_from_a_checkpoint_of_the_last_step_nothing_is_trained_even_within_an_epoch(base, tmp_path) -> None:
    settings = LORA.model_copy(update={"save_every": 1, "max_steps": 2})
    groups = {"second": rows().tail(4), "first": rows().head(4)}
    whole = fitted(base, tmp_path, settings, held_out=groups)
    again = fitted(base, tmp_path, settings, held_out=groups)
    assert again.record.resumed_from == whole.record.steps == 2
    assert [list(line.loss) for line in again.record.held_out] == [["second", "first"]] * 3
    for key in ("steps", "history", "held_out", "tokens"):
        assert getattr(again.record, key) == getattr(whole.record, key), key
    for name, parameter in whole.model.named_parameters():
        assert torch.equal(parameter, again.model.get_parameter(name)), name


def test_a_half_written_checkpoint_is_passed_over(base, tmp_path) -> None:
    settings = LORA.model_copy(update={"save_every": 2})
    whole = fitted(base, tmp_path / "whole", settings)
    fitted(base, tmp_path / "cut", settings)
    last = tmp_path / "cut" / "checkpoints" / "checkpoint-6"
    (last / "trainer_state.json").write_text('{"log_hist')
    again = fitted(base, tmp_path / "cut", settings)
    assert again.record.resumed_from == 0
    assert again.record.history == whole.record.history


@pytest.mark.parametrize(("change", "what"), [({"learning_rate": 1e30, "max_grad_norm": 0}, "loss|norm")])
def test_a_loss_that_is_no_number_stops_with_the_step_and_the_remedy(base, tmp_path, change, what) -> None:
    with pytest.raises(UserError, match=rf"the (gradient's )?({what}).* at step [23]: lower the learning rate"):
        fitted(base, tmp_path, FULL.model_copy(update=change))


def test_too_little_data_and_settings_that_do_not_go_together_are_refused(base, tmp_path) -> None:
    with pytest.raises(UserError, match="7 samples are too few to train on with batches of 8"):
        fitted(base, tmp_path, LORA, rows(7))
    with pytest.raises(UserError, match="packing needs flash attention"):
        fitted(base, tmp_path, LORA.model_copy(update={"packing": True}))
    with pytest.raises(UserError, match="has no modules called c_fc"):
        lora = LORA.lora.model_copy(update={"targets": ["c_fc"]})
        fitted(base, tmp_path, LORA.model_copy(update={"lora": lora}))
    with pytest.raises(UserError, match="report_to tensorbored is not installed"):
        fitted(base, tmp_path, LORA.model_copy(update={"report_to": "tensorbored"}))
    with pytest.raises(UserError, match="do not go together"):
        fitted(base, tmp_path, LORA, no_such_option=1)


def test_samples_that_do_not_fit_are_counted(base, tmp_path) -> None:
    said = ["I lost my keys " * (40 if i == 5 else 1) for i in range(18)]
    replies = ["so sorry " * (60 if i == 3 else 1) for i in range(18)]
    long = rows(18).with_columns(
        prompt=pl.Series([[{"role": "user", "content": text}] for text in said]),
        completion=pl.Series([[{"role": "assistant", "content": text}] for text in replies]),
    )
    result = fitted(base, tmp_path, LORA.model_copy(update={"max_length": 100}), long)
    assert (result.record.truncated, result.record.too_long, result.record.samples) == (1, 1, 17)


def test_nothing_is_printed(base, tmp_path, capfd) -> None:
    fitted(base, tmp_path)
    assert capfd.readouterr() == ("", "")
