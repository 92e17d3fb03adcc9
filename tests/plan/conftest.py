"""Golden pages: `pytest tests/plan --rewrite-goldens` writes them anew; the difference is then reviewed like code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-goldens", action="store_true", help="write tests/plan/golden/*.txt as they are now")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a page with the golden one of that name, or write it."""

    def compare(name: str, page: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if request.config.getoption("--rewrite-goldens", default=False):
            GOLDEN.mkdir(exist_ok=True)
            path.write_text(page + "\n", encoding="utf-8")
        assert path.is_file(), f"there is no {path.name}: pytest tests/plan --rewrite-goldens writes it"
        assert page + "\n" == path.read_text(encoding="utf-8")

    return compare
