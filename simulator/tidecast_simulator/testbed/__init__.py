"""
Real components on loopback, for the tests and the demo: etcd, kube-apiserver, kube-controller-manager and Prometheus.

Needs no container engine and no cluster; everything listens on free ports of 127.0.0.1, keeps its files in a folder
of the caller's and ends with the process that started it.
"""
