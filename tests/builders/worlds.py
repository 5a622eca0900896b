"""
What the end-to-end tests agree on about the recorded shop.
"""

HISTORY_SECONDS = 14 * 86_400
"""What the model learns from unless told otherwise; of fewer days it may not have seen a weekend."""

FUTURE_SECONDS = 121 * 3600

LATE = "fraud-check"
"""A service of the shop whose Deployment is not there from the beginning; a test brings it."""
