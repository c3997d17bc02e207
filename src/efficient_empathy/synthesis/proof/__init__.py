"""Whether synthetic samples help: models that differ in nothing but their samples, measured on real ones."""
