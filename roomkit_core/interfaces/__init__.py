"""The abstract classes behind every part of RoomKit that can be replaced."""
