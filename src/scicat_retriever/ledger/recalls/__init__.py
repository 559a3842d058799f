"""The book of recalls: what is wanted from the stores."""
