"""Models: what is stored, passed and returned. Frozen; their dicts and lists are read-only at every depth."""
