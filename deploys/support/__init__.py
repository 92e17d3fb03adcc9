"""Everything that touches the internals of pyinfra."""
