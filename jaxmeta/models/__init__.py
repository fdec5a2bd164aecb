"""Networks, each returned as a jaxmeta Model."""
