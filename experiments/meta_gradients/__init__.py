"""How far approximate meta-gradients are from exact ones."""
