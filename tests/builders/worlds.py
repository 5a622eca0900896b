"""
What the end-to-end tests agree on about the recorded shop.
"""

HISTORY_SECONDS = 4 * 86_400
FUTURE_SECONDS = 25 * 3600

LATE = "fraud-check"
"""A service of the shop whose Deployment is not there from the beginning; a test brings it."""
