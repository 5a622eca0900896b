"""
Which workloads there are, which of them a label means, and who calls whom.
"""
