"""READ: one probe per host, and one module per subject with its pure parser and its fact."""
