"""Deploys: the files in this folder are run with pyinfra; the folders hold what they are made of."""
