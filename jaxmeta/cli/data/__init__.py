"""`jaxmeta data`: bring recordings in, and check them."""
