"""The verbs of the kit: rooms, bindings, channels, life."""
