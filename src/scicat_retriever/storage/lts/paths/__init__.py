"""Where an archive of the catalogue lies in a store."""
