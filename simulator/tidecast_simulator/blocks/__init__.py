"""
Prometheus' block format, written directly: two weeks of history in seconds, where `promtool` needs many minutes.

https://github.com/prometheus/prometheus/tree/main/tsdb/docs/format (chunks.md, index.md). Knows nothing of meshes.
"""
