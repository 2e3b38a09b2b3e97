# What the image's entry point writes for itself, which it cannot on a read-only root.
LOG_FILE = "/dev/null"  # the container's own output has the log
# servers.json names the command that reads the password from the secret.
ENABLE_SERVER_PASS_EXEC_CMD = True
