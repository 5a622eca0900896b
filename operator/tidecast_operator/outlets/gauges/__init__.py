"""
Forecasts, what came of past ones, and hints as Prometheus gauges.
"""
