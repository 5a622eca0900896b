"""
The contract on gRPC: the Open Inference Protocol v2 for forecasts, and a service of our own for history and training.

Needs grpcio and protobuf. `*_pb2*` is made by scripts/generate-protos.sh.
"""
