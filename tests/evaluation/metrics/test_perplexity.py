import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("peft", reason='needs the extra "train"')

import torch

from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.metrics.perplexity import Perplexity
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm.prompting import PromptTemplate
from efficient_empathy.modelling.moe.compose import average, compose
from efficient_empathy.modelling.training.record import TemplateRecord
from tiny_models import tiny_model
from trained_runs import training_record


def rows(references: list[str], **more: list[object]) -> pl.DataFrame:
    contexts = [[{"role": "speaker", "text": f"I lost my keys {i}"}] for i in range(len(references))]
    ids = [str(i) for i in range(len(references))]
    frame = {"id": ids, "dialogue_id": ids, "prediction": ["?"] * len(ids), "reference": references}
    return pl.DataFrame({**frame, "context": contexts, **more})


REFERENCES = ["oh no, did you find them?", "that sounds so frustrating", "", "I'm sorry"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"), scale=6)


def figures(model: Path, frame: pl.DataFrame, **options: object) -> dict[str, float]:
    measured = Perplexity(MetricOptions(**options)).measure(frame, model)
    return {name: float(value[0]) for name, value in measured.under().items()}


def by_hand(folder: Path, frame: pl.DataFrame) -> tuple[float, int]:
    """Summed nats and tokens of responses with their end-of-turn tokens, one forward pass each."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    nll, count = 0.0, 0
    for context, reference in frame.select("context", "reference").iter_rows():
        asked = tokenizer.apply_chat_template(
            [{"role": "user", "content": context[0]["text"]}], add_generation_prompt=True, tokenize=False
        )
        prompt = tokenizer(asked, add_special_tokens=False)["input_ids"]
        reply = [*tokenizer(reference, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        with torch.no_grad():
            logits = model(torch.tensor([prompt + reply])).logits[0].double().log_softmax(-1)
        nll -= sum(logits[len(prompt) - 1 + i, token].item() for i, token in enumerate(reply))
        count += len(reply)
    return nll, count


def test_it_is_the_mean_over_response_tokens_and_the_end_of_turn(model: Path) -> None:
    frame = rows(REFERENCES)
    nll, tokens = by_hand(model, frame)
    found = figures(model, frame)
    assert found["ppl"] == pytest.approx(math.exp(nll / tokens), rel=1e-4)
    words = sum(len(reference.split()) + 1 for reference in REFERENCES)
    assert found["ppl_word"] == pytest.approx(math.exp(nll / words), rel=1e-4)


def test_predictions_make_no_difference_and_rows_can_be_weighted(model: Path) -> None:
    metric, frame = Perplexity(MetricOptions()), rows(REFERENCES)
    other = frame.with_columns(prediction=pl.lit("something else"))
    measured = metric.measure(frame, model)
    assert measured.under()["ppl"] == metric.measure(other, model).under()["ppl"]
    one = measured.under(np.array([[1.0, 0, 0, 0], [2.0, 0, 0, 0], [0, 0, 0, 0]]))["ppl"]
    assert one[0] == pytest.approx(figures(model, frame[:1])["ppl"], rel=1e-5)
    assert one[0] == pytest.approx(one[1])
    assert math.isnan(one[2])


def test_adapters_averages_and_mixtures_are_measured(model: Path, tmp_path: Path) -> None:
    import peft
    from transformers import AutoModelForCausalLM

    expert = tiny_model(tmp_path / "expert", seed=1, scale=6)
    average([model, expert], tmp_path / "average")
    compose([model, expert], tmp_path / "moe")
    adapted = peft.get_peft_model(
        AutoModelForCausalLM.from_pretrained(model), peft.LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")
    )
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    adapted.save_pretrained(tmp_path / "adapter")
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / "adapter" / file).write_bytes((model / file).read_bytes())
    found = [
        figures(path, rows(REFERENCES))["ppl"]
        for path in (model, expert, *(tmp_path / n for n in ("average", "moe", "adapter")))
    ]
    assert all(map(math.isfinite, found))
    assert len({round(value, 3) for value in found}) == 5


def test_a_rerun_reads_what_was_kept(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = figures(model, rows(REFERENCES), work=tmp_path)
    monkeypatch.setattr(Perplexity, "_count", None)
    assert figures(model, rows(REFERENCES), work=tmp_path) == first
    with pytest.raises(TypeError):
        figures(model, rows(["another"]), work=tmp_path)


def test_a_trained_model_is_asked_in_its_own_template(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model", scale=6, max_position_embeddings=1024)
    frame = rows(REFERENCES)
    plain, instructed = figures(folder, frame), figures(folder, frame, template="empathetic_instruction")
    template = TemplateRecord.of(PromptTemplate.load("empathetic_instruction"))
    training_record(template=template).write(folder / "training.json")
    assert figures(folder, frame) == pytest.approx(instructed)
    assert plain != pytest.approx(instructed)
    with pytest.raises(UserError, match="was trained with another template than 'chat'"):
        figures(folder, frame, template="chat")


def test_what_it_cannot_measure_is_told(model: Path, tmp_path: Path) -> None:
    frame = rows(REFERENCES)
    with pytest.raises(UserError, match="of a model, not of its responses"):
        Perplexity(MetricOptions()).measure(frame)
    with pytest.raises(UserError, match="there is no model at"):
        figures(tmp_path / "nothing", frame)
    with pytest.raises(UserError, match="needs each row's context"):
        figures(model, frame.drop("context"))
    nobody = frame.with_columns(context=pl.when(pl.col("id") == "2").then(None).otherwise("context"))
    with pytest.raises(UserError, match="row 2: perplexity needs a context that ends with the speaker's turn"):
        figures(model, nobody)
    with pytest.raises(UserError, match=r"row 1: its reference .* take more than 40 tokens: raise --max-length .1 of"):
        figures(model, rows(["short", "so " * 60]), max_length=40)
    with pytest.raises(UserError, match="take more than 256 tokens, which is all that"):
        figures(model, rows(["short", "so " * 300]), max_length=4096)


def test_a_long_context_loses_its_oldest_turns(model: Path) -> None:
    old = {"role": "speaker", "text": "so " * 80}
    turns = [{"role": "listener", "text": "oh"}, {"role": "speaker", "text": "I lost my keys"}]
    long = rows(["oh no"]).with_columns(context=pl.Series([[old, *turns]]))
    newest = rows(["oh no"]).with_columns(context=pl.Series([turns[1:]]))
    assert figures(model, long, max_length=60) == pytest.approx(figures(model, newest))
