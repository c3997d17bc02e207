"""The service: scores conversations over HTTP as they come, with the distilled judge."""
