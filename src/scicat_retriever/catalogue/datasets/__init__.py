"""Datasets in SciCat: read, and told how far their retrieval is."""
