"""Looking at a page: wait until it stands still, keep a picture of it."""

from pathlib import Path

SCREENS = Path(__file__).parent.parent.parent / "out" / "screens"
HOSTILE = "<img src=x onerror=alert(1)> ![a](http://192.0.2.1/a.png) [b](javascript:alert(2)) :red[c] $d$ `e` **f**"

STANDS_STILL = """() => {
  const app = document.querySelector('[data-testid=stApp]');
  const rest = app.dataset.testScriptState === 'notRunning' && !document.querySelector('[data-stale=true], [data-testid=stSpinner]');
  const before = window.seen;
  window.seen = rest ? document.querySelector('[data-testid=stMain]').innerText : null;
  return rest && before === window.seen;
}"""


def settle(page) -> None:
    """Wait until the script has run, nothing on the page is stale, and two looks at it 300 ms apart see the same.

    One look is not enough: a page is at rest for a moment between two runs of its script, with only its first half drawn.
    """
    page.wait_for_selector("[data-testid=stMain] h1")
    page.evaluate("window.seen = null")
    page.wait_for_function(STANDS_STILL, polling=300)


def keep(page, name: str) -> None:
    """A screenshot of the whole page into out/screens."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": 1440, "height": min(height, 4000)})
    settle(page)
    page.screenshot(path=SCREENS / f"{name}.png")
