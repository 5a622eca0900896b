"""
Where forecasts go: the resources' status, their conditions, events, and metrics about the operator itself.
"""
