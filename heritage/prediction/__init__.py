"""Apply a trained network to any images: the table of `heritage predict`, and `Predictor` for Python."""

from heritage.prediction.predictor import Predictor, load
from heritage.prediction.results import Explanation, Prediction, Predictions

__all__ = ["Explanation", "Prediction", "Predictions", "Predictor", "load"]
