"""The concepts of a retrieval: pure, without I/O, clock or framework."""
