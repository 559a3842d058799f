"""The book of space: claims, pins, what is evicted, what was found in staging."""
