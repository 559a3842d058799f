"""Jobs: taken, planned, and compared with SciCat's."""
