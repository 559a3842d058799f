"""The transfer: an archive is read, copied, verified and published."""
