"""`efficient-empathy prompts`: golden sets, tests of rubrics and judges, comparisons, and what was used where."""
