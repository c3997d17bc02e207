"""A base encoder for students that takes no time to fit."""

import pytest

from tiny_models import tiny_encoder


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A BERT of 32 dimensions that knows nothing, with the tokenizer that ships."""
    return tiny_encoder(tmp_path_factory.mktemp("base"))
