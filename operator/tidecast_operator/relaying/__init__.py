"""
The leading replica's board, shown on the noticeboards of all others, so that every replica answers autoscalers alike.

`*_pb2*` is made by scripts/generate-protos.sh.
"""
