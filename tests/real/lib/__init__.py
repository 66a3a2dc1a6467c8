"""What the real-server tests share: independent checkers, workloads, and the product's processes."""
