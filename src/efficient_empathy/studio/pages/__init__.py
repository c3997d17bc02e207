"""The pages, one folder each: routes, template, script and style together."""
