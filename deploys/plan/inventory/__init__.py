"""Inventories that people already have, read into hosts and their data. Pure: the files are read elsewhere."""
