"""`jaxmeta train`: a file for each kind of network."""
