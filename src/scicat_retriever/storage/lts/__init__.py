"""Long-term stores, one module each."""
