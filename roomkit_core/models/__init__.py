"""The vocabulary: frozen models of rooms, events, bindings, deliveries and what hooks say about them."""
