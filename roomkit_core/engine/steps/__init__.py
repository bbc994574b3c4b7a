"""The way of a message, step by step."""
