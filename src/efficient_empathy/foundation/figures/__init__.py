"""Marks, axes, colours and number formats that the report, the pages and the studio draw with."""
