"""
The demo: Tidecast on a real control plane and a real Prometheus with simulated traffic, `make demo`.

Everything that it shows is read back from the custom resources and from Prometheus, as a user would; nothing is
imported from the operator or the predictor.
"""
