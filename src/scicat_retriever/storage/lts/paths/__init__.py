"""Where an archive of the catalogue lies in a store, and how none is led out of it."""
