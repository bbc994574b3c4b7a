"""What content becomes on a channel: parts that it can carry, and a report of what was converted or dropped. Pure."""
