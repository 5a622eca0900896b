"""
What the operator and the predictor agree on: the features, a `Snapshot` in, a `Forecast` out, and their wire form.

Knows nothing of Kubernetes, Prometheus or torch. Everything but `rpc` needs numpy alone.
"""
