"""
Trains and serves the forecaster: arrays in, arrays out.

Knows nothing of Kubernetes or Prometheus; what it is given is a `Snapshot`, what it answers a `Forecast`.
"""
