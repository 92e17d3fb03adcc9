"""Pure decisions: settings, the record of a host, checks, the plan. Imports no pyinfra."""
