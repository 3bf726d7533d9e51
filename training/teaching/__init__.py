"""How a large model teaches a small one."""
