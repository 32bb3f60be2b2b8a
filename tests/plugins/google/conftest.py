"""A Google of one's own."""

import pytest

from .accounts import google_serving


@pytest.fixture
async def google():
    async with google_serving() as server:
        yield server
