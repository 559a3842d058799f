"""SciCat, spoken over HTTP."""
