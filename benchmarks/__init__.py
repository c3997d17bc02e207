"""Each module prints ratios against a peer or a limit, measured side by side in one run. All: python -m benchmarks."""
