"""
How many replicas a forecast asks for, and what autoscalers are told of it. Pure but for what `keeper` remembers.
"""
