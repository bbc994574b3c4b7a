"""Time per message beside the peer, both sides alternating in one run; ``python -m benchmarks.run --help``."""
