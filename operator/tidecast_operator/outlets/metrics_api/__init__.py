"""
An aggregated API server for `external.metrics.k8s.io` and `custom.metrics.k8s.io`, so that a HorizontalPodAutoscaler can
scale on hints without anything between.
"""
