"""`jaxmeta data check`: a folder of recordings is read once, and everything that looks wrong is reported."""
