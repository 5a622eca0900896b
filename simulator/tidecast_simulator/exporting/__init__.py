"""
Traffic in the words of the tools that would have measured it: Istio, cAdvisor, kube-state-metrics, OpenTelemetry.
"""
