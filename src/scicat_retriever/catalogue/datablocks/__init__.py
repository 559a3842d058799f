"""Datablocks in SciCat: their entries, and the proof that all of them are seen."""
