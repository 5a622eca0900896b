"""
Past forecasts against what came true, and whether they are to be trusted.
"""
