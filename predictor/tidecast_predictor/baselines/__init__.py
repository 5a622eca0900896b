"""
Methods to be measured against, and to fall back on.
"""

from tidecast_predictor.baselines.last_value import LastValue
from tidecast_predictor.baselines.method import ForecastingMethod
from tidecast_predictor.baselines.seasonal_naive import SeasonalNaive

__all__ = ["ForecastingMethod", "LastValue", "SeasonalNaive"]
