"""Turns that were sent from the chat to rating."""

from __future__ import annotations

from collections.abc import Mapping

from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.studio.pages.chat.turns import RatingRequest, send


def send_turn(workspace: Workspace, text: str, replies: Mapping[str, str]) -> str:
    """Send a conversation's third turn with the replies of models by name; returns the turn's id."""
    context = [("speaker", f"hello, it is about this: {text}"), ("listener", "hi"), ("speaker", text)]
    sent = RatingRequest.model_validate(
        {
            "context": [{"role": role, "text": said} for role, said in context],
            "replies": [{"model": name, "response": response} for name, response in replies.items()],
        }
    )
    return str(send(workspace, sent, {name: f"{name.upper()}, labelled" for name in replies})["id"])
