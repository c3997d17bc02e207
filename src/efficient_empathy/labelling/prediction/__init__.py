"""The distilled judge for new conversations, and an alarm where they are unlike what it learnt from."""

from efficient_empathy.labelling.prediction.predictor import Per, Predictor, by_conversation
from efficient_empathy.labelling.prediction.stage import Prediction, predict

__all__ = ["Per", "Prediction", "Predictor", "by_conversation", "predict"]
