"""Datablocks in SciCat: their entries, and whether all of them are seen."""
