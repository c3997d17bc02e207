"""The embedded text encoder: tokenizer and ONNX session, no torch."""

from efficient_empathy.encoders.pairs import OnnxEncoder, PairTokenizer, normalise, pad

__all__ = ["OnnxEncoder", "PairTokenizer", "normalise", "pad"]
