"""Test hosts: booted Debian systems in disguise, for tests that run the real pyinfra against them."""
