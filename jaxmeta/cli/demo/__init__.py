"""`jaxmeta demo`: a page in the browser to record, correct and adapt, which this machine alone can reach."""
