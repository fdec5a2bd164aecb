"""How good an assistant is at what it is for: telling speakers apart, its gate, and words among everything else."""
