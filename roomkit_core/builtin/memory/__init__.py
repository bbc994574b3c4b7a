"""The store in the memory of one process: the reference for what every store does. ``store`` is the way in."""
