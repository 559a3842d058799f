"""Delivery: the links of jobs, and what was downloaded by them."""
