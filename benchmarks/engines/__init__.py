"""The commands that ask a model, against real servers on this machine; see `python -m benchmarks.engines --help`."""
