"""Looking at a page: wait until it stands still, keep a picture of it."""

from pathlib import Path

SCREENS = Path(__file__).parent.parent.parent / "out" / "screens"
HOSTILE = "<img src=x onerror=alert(1)> ![a](http://192.0.2.1/a.png) [b](javascript:alert(2)) :red[c] $d$ `e` **f**"


def settle(page) -> None:
    """Wait until the script has run and nothing on the page is stale."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_selector("[data-testid=stMain] h1")
    page.wait_for_function("!document.querySelector('[data-stale=true], [data-testid=stSpinner]')")


def keep(page, name: str) -> None:
    """A screenshot of the whole page into out/screens."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": 1440, "height": min(height, 4000)})
    settle(page)
    page.screenshot(path=SCREENS / f"{name}.png")
