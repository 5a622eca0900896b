"""
A node for a control plane that has none: it runs pods as processes on this machine, as far as processes can play pods.

What is above it is real: controllers make the pods, the API server keeps their status, Endpoints follow their
readiness. There is no image, no network and no isolation: an image is a program of this machine, the addresses and paths
that a pod's command names are rewritten to free ports of 127.0.0.1 and to folders, and all run as the same user.
"""

from tidecast_simulator.testbed.node.kubelet import Node

__all__ = ["Node"]
