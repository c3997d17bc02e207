"""The distilled judge for new conversations, and an alarm where they are unlike what it learnt from."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.labelling.prediction.predictor import Per, PredictionSettings, Predictor, by_conversation
    from efficient_empathy.labelling.prediction.stage import Prediction, predict

__all__ = ["Per", "Prediction", "PredictionSettings", "Predictor", "by_conversation", "predict"]

__getattr__ = exports(
    __name__,
    {
        "Predictor": "predictor",
        "by_conversation": "predictor",
        "Per": "predictor",
        "PredictionSettings": "predictor",
        "Prediction": "stage",
        "predict": "stage",
    },
)
