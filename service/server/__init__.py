"""The server process: its socket, its protocol, its end."""
