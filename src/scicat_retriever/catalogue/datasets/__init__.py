"""Datasets in SciCat: read, and updated with the state of their retrieval."""
