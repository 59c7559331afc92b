"""Bases, biased teachers, the number lists that they write, and how students are measured."""
