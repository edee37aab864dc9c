"""The front page quotes the program that takes part, word for word."""

from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_front_page_quotes_the_example() -> None:
    example = (ROOT / "libs" / "contracts" / "examples" / "book.py").read_text().rstrip()
    assert f"```python\n{example}\n```" in (ROOT / "README.md").read_text()
