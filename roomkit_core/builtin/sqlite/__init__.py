"""The store in a file: SQLite, one owner, group commit. ``store`` is the way in, ``schema`` what stands in the file."""
