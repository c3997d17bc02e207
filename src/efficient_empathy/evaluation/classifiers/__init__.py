"""Classifiers that are fitted on a user's own labels, on the embedded encoder, and the folders they are kept in."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.evaluation.classifiers.classifier import Classifier, ClassifierRecord, load

__all__ = ["Classifier", "ClassifierRecord", "load"]

__getattr__ = exports(__name__, dict.fromkeys(__all__, "classifier"))
