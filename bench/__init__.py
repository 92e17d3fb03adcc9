"""The benchmark: this toolkit beside pyinfra's floor, a loop of ssh and Ansible, over real sshd on this machine."""
