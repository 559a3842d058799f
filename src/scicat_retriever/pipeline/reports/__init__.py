"""Reports: what SciCat is told, and the teller who tells it."""
