"""Processes in the place of `ray_training_driver.serve`, without a cluster."""

import json
import os
from multiprocessing.connection import Connection
from time import sleep


def end(connection: Connection, setup: str) -> None:
    """Accept a training, and end as Ray ends a process whose head stays away."""
    send(connection, "alive")
    connection.recv_bytes()
    os._exit(1)


def hang(connection: Connection, setup: str) -> None:
    """Send no heartbeat after the first."""
    send(connection, "alive")
    sleep(600)


def refuse(connection: Connection, setup: str) -> None:
    """Report that there is no connection."""
    send(connection, "error", "no token")


def train(connection: Connection, setup: str) -> None:
    """Answer each training after two epochs with the message that is its task."""
    send(connection, "alive")
    while (message := json.loads(connection.recv_bytes()))[0] != "exit":
        kind, index, task = message
        if kind == "train":
            send(connection, "epochs", 2, index)
            ((kind, data),) = task.items()
            send(connection, kind, data, index)


def send(connection: Connection, kind: str, data: object = None, index: int | None = None) -> None:
    connection.send_bytes(json.dumps([kind, index, data]).encode())
