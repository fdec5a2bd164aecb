"""Forms of layers for accelerators: programs of their own, gradients in fewer loops, fewer bits."""
