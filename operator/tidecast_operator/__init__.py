"""
Kubernetes and Prometheus in, custom resources out. Never needs torch.
"""
