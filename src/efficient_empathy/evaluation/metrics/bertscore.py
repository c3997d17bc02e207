"""BERTScore (Zhang et al. 2020), computed by the library bert-score."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from efficient_empathy.evaluation.cache import load_or_count
from efficient_empathy.evaluation.metric import Figure, Measured, MetricOptions, Sums, Values
from efficient_empathy.foundation.errors import UserError, missing_extra

COLUMNS = ("precision", "recall", "f1")


class BertScore:
    """Precision, recall and F1 of predictions against references by matched contextual embeddings, 0 to 1.

    No idf weights and no rescaling with a baseline, as the library does by default. An empty prediction scores 0. The
    model is a folder or a hub name; one that the library knows no layer for takes it as in `FOLDER@9`.
    """

    name = "bertscore"
    columns: Sequence[str] = ()
    figures: Sequence[Figure] = (
        Figure("bertscore_p", "higher", "BERTScore precision, not rescaled (Zhang et al. 2020)", 4),
        Figure("bertscore_r", "higher", "BERTScore recall, not rescaled (Zhang et al. 2020)", 4),
        Figure("bertscore_f1", "higher", "BERTScore F1, not rescaled (Zhang et al. 2020)", 4),
    )

    def __init__(self, options: MetricOptions) -> None:
        if not options.bertscore_model:
            raise UserError(
                "BERTScore needs the weights of an encoder: name a folder or a hub model, such as roberta-large, with "
                "--bertscore-model (bertscore_model in a recipe)"
            )
        try:
            import bert_score  # noqa: F401
        except ImportError as error:
            raise missing_extra("the metric bertscore", "bertscore") from error
        self._work = options.work
        self._model, self._layer = choose_layer(options.bertscore_model)
        signature = f"{Path(self._model).name}_L{self._layer}_no-idf_version={version('bert-score')}"
        self.about: dict[str, Any] = {
            "hash": f"{signature}(hug_trans={version('transformers')})",
            "weights": _weights(self._model),
            "rescaled": False,
        }

    def measure(self, rows: pl.DataFrame, model: Path | str | None = None) -> Measured:
        """Count; cached in the options' `work`. Raises `UserError` for weights that cannot be loaded."""
        predictions, references = rows["prediction"].to_list(), rows["reference"].to_list()
        parts = [self.about, predictions, references]
        counts = load_or_count(self._work, self.name, parts, COLUMNS, lambda: self._count(predictions, references))
        return Sums(np.column_stack([counts, np.ones(len(counts))]), _means)

    def _count(self, predictions: list[str], references: list[str]) -> npt.NDArray[np.float64]:
        scorer = self._scorer()
        with _quiet():  # the library warns of each empty text, which scores 0 here
            scored = scorer.score(predictions, references)
        return np.stack([part.double().numpy() for part in scored], 1)

    def _scorer(self) -> Any:
        from bert_score import BERTScorer

        try:
            with _quiet():
                scorer = BERTScorer(model_type=self._model, num_layers=self._layer, idf=False)
        except (OSError, ValueError, AssertionError, KeyError) as error:
            raise UserError(f"BERTScore cannot load {self._model}: {' '.join(str(error).split())[:300]}") from error
        _mend(scorer._tokenizer, scorer._model)
        return scorer


def choose_layer(model: str) -> tuple[str, int]:
    """The model and the layer to read: what follows `@`, else the one that the library found best for that model.

    A folder counts as the model that it is named after. Raises `UserError` where no layer is known.
    """
    from bert_score.utils import model2layers

    name, _, layer = model.rpartition("@") if model.rpartition("@")[2].isdigit() else (model, "", "")
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").exists():
            raise UserError(f"{folder} is no model's folder: there is no config.json in it (--bertscore-model)")
        name = str(folder.resolve())
    elif folder.is_absolute() or name.startswith((".", "~")):
        raise UserError(f"there is no folder {name}: name BERTScore's weights with --bertscore-model")
    if layer:
        return name, int(layer)
    key_of_model = next((key for key in model2layers if name in (key,) or Path(name).name == key.split("/")[-1]), None)
    if key_of_model is None:
        deepest = _layers(folder)
        hint = f" (1 to {deepest})" if deepest else ""
        raise UserError(
            f"bert-score knows no best layer for {model}: say which one{hint}, as in --bertscore-model {model}@"
            f"{deepest * 3 // 4 if deepest else 9}"
        )
    return name, int(model2layers[key_of_model])


def _layers(folder: Path) -> int:
    """How many layers a model's folder says it has, 0 where that is not known."""
    config = folder / "config.json"
    return int(json.loads(config.read_text("utf-8")).get("num_hidden_layers", 0)) if config.exists() else 0


def _weights(model: str) -> str:
    """What the weights are known by."""
    from efficient_empathy.foundation.model_folder import model_hash

    return model_hash(Path(model)) if Path(model).is_dir() else model


def _mend(tokenizer: Any, model: Any) -> None:
    """What bert-score 0.3.13 asks of a tokenizer and transformers 5 no longer gives.

    `build_inputs_with_special_tokens` is gone from fast tokenizers (it is asked for empty texts alone), and a
    `model_max_length` that the folder does not say is 1e30, which the tokenizer's own code cannot count to: what the
    model has positions for takes its place.
    """
    if not hasattr(tokenizer, "build_inputs_with_special_tokens"):
        tokenizer.build_inputs_with_special_tokens = lambda ids: tokenizer.encode("", add_special_tokens=True)
    positions = int(getattr(model.config, "max_position_embeddings", 512))
    if model.config.model_type in ("roberta", "xlm-roberta", "camembert"):
        positions -= model.config.pad_token_id + 1  # their first positions are the padding's
    tokenizer.model_max_length = min(int(tokenizer.model_max_length), positions)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without progress bars, and without the report of weights that are left out, such as the pooler's."""
    import transformers

    logging: Any = transformers.utils.logging
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _means(sums: npt.NDArray[np.float64]) -> Values:
    with np.errstate(invalid="ignore"):
        return dict(zip(("bertscore_p", "bertscore_r", "bertscore_f1"), (sums[:, :3] / sums[:, 3:]).T, strict=True))
