"""
The one error that both sides raise: what arrived does not fit what was agreed.
"""


class ContractMismatch(Exception):
    """
    The operator and the predictor disagree about the contract; the text names both sides' values.

    Retrying does not help: one of the two has to be upgraded.
    """
