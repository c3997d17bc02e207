"""Mutation testing: the program with one thing wrong must fail its tests."""
