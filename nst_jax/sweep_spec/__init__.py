"""The specification of a sweep: YAML or command line -> axes, lanes, groups."""
