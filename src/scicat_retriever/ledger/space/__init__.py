"""The books of space: claims, pins, the cache, the inventory of staging and whose it is, and findings."""
