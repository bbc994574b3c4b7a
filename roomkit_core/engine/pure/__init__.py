"""Decisions without effects: models in, models out."""
