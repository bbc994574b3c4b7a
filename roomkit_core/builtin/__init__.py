"""The implementations that RoomKit uses when nothing else is given: in memory, in this process."""
