"""Where bytes live: long-term stores and staging areas."""
