"""
What Prometheus says about services and the calls between them, as peers and numbers.

Knows metrics and labels; does not know which workload of the cluster a label means.
"""
