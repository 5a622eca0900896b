"""
What hints would have done in the past, beside a HorizontalPodAutoscaler alone on the same load.
"""
