"""One browser for all tests; see support.browser."""

import pytest

from support.browser import Visit, started


@pytest.fixture(scope="session")
def browser():
    with started() as found:
        yield found


@pytest.fixture
def visits(browser):
    """Opens addresses: ``visits(address, width=390, dark=True)``; fails on troubles."""
    made = []

    def visit(address, **options):
        made.append(Visit(browser, address, **options))
        return made[-1]

    yield visit
    for one in made:
        one.close()
    assert [trouble for one in made for trouble in one.troubles] == []
