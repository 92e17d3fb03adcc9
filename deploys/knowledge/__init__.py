"""Pure data: distributions, packages, paths, versions, keys. Nothing here decides or touches a host."""
