"""Jobs in SciCat: read, listed, updated."""
