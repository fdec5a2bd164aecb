"""`jaxmeta export`: a file for each kind of folder that it takes."""
