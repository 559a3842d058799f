"""Delivery: what datasets are called, the links of jobs, and what was downloaded by them."""
