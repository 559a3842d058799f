"""Delivery: what retrieved data are called, what belongs to a retrieval, and what people are given of it."""
