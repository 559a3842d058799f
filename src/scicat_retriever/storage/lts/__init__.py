"""Long-term stores, a folder for each kind."""
