"""The embedded text encoder: tokenizer and ONNX session, no torch."""

from efficient_empathy.encoders.onnx import OnnxEncoder
from efficient_empathy.encoders.pairs import PairTokenizer, normalise

__all__ = ["OnnxEncoder", "PairTokenizer", "normalise"]
