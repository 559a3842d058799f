"""The steps that flows ask for, as the workers run them."""
