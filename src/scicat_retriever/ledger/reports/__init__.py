"""The book of reports: what SciCat has to hear and was not told yet."""
