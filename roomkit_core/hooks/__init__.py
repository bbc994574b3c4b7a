"""The hook engine: registrations, runs that decide, observers beside the way, and who is running right now."""
