"""Debian's Chromium without a screen, in which tests look at pages."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement


class Browser:
    """A window of 1400 by 1000 pixels, and what went on in it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, page: str, path: Path) -> None:
        """Shows the page from a file, and forgets what went on before."""
        path.write_text(page, encoding="utf-8")
        self.messages()
        self.requests()
        self.driver.get(path.as_uri())

    def messages(self) -> list[str]:
        """What the console says since the last call: errors of scripts and of the security policy among it."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def set(self, selector: str, value, event: str) -> None:
        """Gives a control a value, and tells the page as the user's hand would."""
        script = "const [s, v, e] = arguments; const c = document.querySelector(s); c.value = v;"
        self.run(script + "c.dispatchEvent(new Event(e, { bubbles: true }))", selector, value, event)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Starts it; the test is skipped where it is not installed."""
    browser, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver_path:
        pytest.skip("no chromium or no chromedriver: `scripts/setup.sh --tests` installs Debian's")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # Root has no sandbox; a container's /dev/shm is small.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
