"""A fitted student as a folder that `DistilledJudge` reads: int8 ONNX, tokenizer, `judge.json`."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from efficient_empathy.encoders.pairs import pad
from efficient_empathy.foundation.run.workspace import atomic
from efficient_empathy.labelling.distillation.model import Student

INPUTS = ("input_ids", "token_type_ids", "attention_mask")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's and the quantiser's advice to programmers."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def export_onnx(student: Student, path: Path) -> None:
    """Write the student's graph with attention fused and all weight matrices int8, per channel."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    config = student.encoder.config
    example = pad([([101, 2000, 102, 3000, 102], 3), ([101, 2000, 102], 2)])
    axes = {name: {0: "samples", 1: "tokens"} for name in INPUTS} | {"logits": {0: "samples"}}
    fusion = FusionOptions("bert")
    fusion.enable_embed_layer_norm = False  # it would hide the word vectors from the quantiser
    with tempfile.TemporaryDirectory() as folder, _quiet():
        plain, fused = str(Path(folder) / "plain.onnx"), str(Path(folder) / "fused.onnx")
        inputs = tuple(torch.from_numpy(example[name]) for name in INPUTS)
        torch.onnx.export(
            student, inputs, plain, input_names=list(INPUTS), output_names=["logits"], dynamic_axes=axes,
            opset_version=17, dynamo=False,
        )  # fmt: skip
        optimize_model(
            plain, "bert", config.num_attention_heads, config.hidden_size, optimization_options=fusion, opt_level=0
        ).save_model_to_file(fused)
        with atomic(path) as temporary:
            quantize_dynamic(
                fused, str(temporary), per_channel=True, weight_type=QuantType.QInt8,
                op_types_to_quantize=["MatMul", "Gemm", "Gather", "Attention"], extra_options={"DefaultTensorType": 1},
            )  # fmt: skip
