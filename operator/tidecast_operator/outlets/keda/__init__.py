"""
The outlet for KEDA: an external scaler over gRPC that a ScaledObject's trigger names.
"""
