"""How fast single layers are."""
