"""
Methods of others, to be measured against: each written from its paper, all behind one interface.
"""

from tidecast_predictor.baselines.method import Answer, CannotForecast, Fitted, Method, Progress, Series, Task

__all__ = ["Answer", "CannotForecast", "Fitted", "Method", "Progress", "Series", "Task"]
