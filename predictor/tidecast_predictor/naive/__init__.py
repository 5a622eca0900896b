"""
Forecasts without a model, for the first minutes and wherever a model does not lead.
"""

from tidecast_predictor.naive.answering import METHODS, Naive, NaiveForecast
from tidecast_predictor.naive.last_value import LastValue
from tidecast_predictor.naive.method import ForecastingMethod
from tidecast_predictor.naive.seasonal_naive import SeasonalNaive

__all__ = ["METHODS", "ForecastingMethod", "LastValue", "Naive", "NaiveForecast", "SeasonalNaive"]
