"""The machine that this runs on. Root is needed; other users go through sudo."""

import os

hosts = [("@local", {} if os.geteuid() == 0 else {"_sudo": True})]
