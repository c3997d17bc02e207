"""How a model is asked for a response: versioned prompt templates, the same for training and for generation."""

from efficient_empathy.llm.prompting.chat_text import ChatText
from efficient_empathy.llm.prompting.markers import without_markers
from efficient_empathy.llm.prompting.shortening import without_oldest
from efficient_empathy.llm.prompting.template import BUNDLED, Message, PromptTemplate

__all__ = ["BUNDLED", "ChatText", "Message", "PromptTemplate", "without_markers", "without_oldest"]
