"""What a tenure of a room works on: the cached room, the unit of work, its commit, and the ports to the outside."""
