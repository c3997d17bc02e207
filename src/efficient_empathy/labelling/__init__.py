"""Labels beyond one judge's single word: judged again where it matters, or by the cheaper judge where it is sure."""
