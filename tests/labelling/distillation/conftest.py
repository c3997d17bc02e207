"""A base encoder for students that takes no time to fit."""

import pytest

from efficient_empathy.scoring.judges.distilled import BUNDLED


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A BERT of 32 dimensions that knows nothing, with the tokenizer that ships."""
    from transformers import BertConfig, BertModel, set_seed

    folder = tmp_path_factory.mktemp("base")
    config = BertConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    set_seed(0)
    BertModel(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((BUNDLED / "tokenizer.json").read_bytes())
    return folder
