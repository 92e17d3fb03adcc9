"""Rows of the checks, one per case, by the module that the checks live in."""
