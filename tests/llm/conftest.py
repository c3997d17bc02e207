import pytest

from calling import Client


@pytest.fixture
def client() -> Client:
    return Client()
