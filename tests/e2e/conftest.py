"""What end-to-end tests share."""

import uuid

import pytest

from deploy.local.stack import Stack
from tests.e2e.world import World


@pytest.fixture
def world(stack: Stack) -> World:
    """The world around a stack with every service up."""
    return World(stack)


@pytest.fixture
def names() -> str:
    """A suffix that makes hosts of this test its own."""
    return uuid.uuid4().hex[:8]
