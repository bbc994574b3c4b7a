"""WebSocket channel for RoomKit: clients keep a cursor, and a cut connection goes on where it stopped."""
