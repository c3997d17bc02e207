"""Text to the tokens that the official metrics count: sentences, then Treebank words, as numbers."""

from efficient_empathy.evaluation.tokens.encoder import Encoder, Ragged, Vocabulary
from efficient_empathy.evaluation.tokens.sentences import Splitter, split, splitter, words

__all__ = ["Encoder", "Ragged", "Splitter", "Vocabulary", "split", "splitter", "words"]
