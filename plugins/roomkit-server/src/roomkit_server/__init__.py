"""ASGI host for RoomKit: serves a kit and the applications its plugins bring."""
