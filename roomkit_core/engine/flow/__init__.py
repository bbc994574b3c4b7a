"""What moves on its own: runners of owed work, live targets, and who waits for them. Knows rows, not their meaning."""
