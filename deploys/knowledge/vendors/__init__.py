"""Vendors' package repositories: their keys, and how they name and lay out what they carry."""
