"""The engine: how a message goes through a room. Private; its five sublayers are pure < state < flow < steps < verbs."""
