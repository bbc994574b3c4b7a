"""How a message goes through a room. Private. Five sublayers are pure < state < flow < steps < verbs."""
