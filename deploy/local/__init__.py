"""The local stack: RabbitMQ, MongoDB, the calendar sandbox and the four services, on loopback, without Docker."""

from deploy.local.errors import StackError
from deploy.local.stack import Stack

__all__ = ["Stack", "StackError"]
