"""The report in a real browser: no error, no request, sorting, filtering, keyboard, contrast."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.cli.main import main
from tests.builders import write_bundle
from tests.cli.test_report import HOSTILE
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BROWSER and DRIVER) and not os.environ.get("CI"),
        reason="chromium and chromedriver are not here",
    ),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert main(["report", str(FIXTURES / "digits_run"), "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def requests_of(browser: Any) -> list[str]:
    import json

    found = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
    return found


def test_nothing_is_fetched_and_nothing_goes_wrong(browser: Any, page: Path) -> None:
    browser.get_log("performance")
    browser.get(page.as_uri())
    assert browser.get_log("browser") == []
    urls = requests_of(browser)
    assert [url for url in urls if not url.startswith("data:")] == [page.as_uri()]


def test_the_variables_are_filtered_and_sorted(browser: Any, page: Path) -> None:
    browser.get(page.as_uri())

    def names() -> list[str]:
        rows: list[str] = browser.execute_script(
            "return [...document.querySelectorAll('table.filtered tbody tr')]"
            ".filter(row => !row.hidden).map(row => row.cells[0].textContent)"
        )
        return rows

    assert len(names()) == 43
    box = browser.find_element("css selector", ".filter input")
    box.send_keys("conv1/")
    assert {name.split("/")[-2] for name in names()} <= {"conv1", "kernel", "bias"}
    assert 0 < len(names()) < 43
    box.clear()
    box.send_keys(" ")
    browser.execute_script("document.querySelectorAll('table.filtered thead button')[4].focus()")
    from selenium.webdriver.common.keys import Keys

    browser.switch_to.active_element.send_keys(Keys.ENTER)  # by keyboard: bytes, upwards
    browser.execute_script("document.querySelector('.filter input').value = ''")
    order = browser.execute_script(
        "return [...document.querySelectorAll('table.filtered tbody tr')]"
        ".map(row => parseInt(row.cells[4].textContent.replace(/,/g, '')))"
    )
    assert order == sorted(order)


def test_the_tree_folds_and_anchors_lead(browser: Any, page: Path) -> None:
    browser.get(f"{page.as_uri()}#v3")
    assert browser.execute_script("return document.querySelector(':target').cells[0].textContent")
    tree = browser.find_element("css selector", "#variables details")
    assert tree.get_attribute("open") is None
    tree.find_element("css selector", "summary").click()
    assert tree.get_attribute("open") is not None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
def test_a_checker_finds_nothing(browser: Any, page: Path, scheme: str, width: int) -> None:
    """axe-core: contrast, names of regions and buttons, order of headings, unique ids."""
    from importlib.resources import files

    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.set_window_size(width, 1000)
    browser.get(page.as_uri())
    script = (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    browser.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    browser.get(page.as_uri())
    browser.execute_script(script)
    found = browser.execute_async_script(
        "const done = arguments[arguments.length - 1]; axe.run().then(done, done)"
    )
    told = [
        (one["id"], [node["html"][:90] for node in one["nodes"][:2]]) for one in found["violations"]
    ]
    browser.execute_cdp_cmd("Page.setBypassCSP", {"enabled": False})
    assert told == []


def test_the_page_does_without_its_script(browser: Any, page: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(page.as_uri())
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert not browser.find_elements("css selector", ".filter")
    assert len(browser.find_elements("css selector", "table.filtered tbody tr")) == 43


def test_a_hostile_checkpoint_makes_an_inert_page(browser: Any, tmp_path: Path) -> None:
    tensors = {name: np.full((2, 3), at, "f4") for at, name in enumerate(HOSTILE)}
    prefix = write_bundle(tmp_path / "ckpt-1", tensors)
    path = tmp_path / "r.html"
    assert main(["report", prefix, "-o", str(path)]) == 0
    browser.get_log("browser")
    browser.get(path.as_uri())
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.scripts.length") == 1
    assert (
        browser.execute_script(
            "return document.querySelectorAll('img, iframe, a[href^=java]').length"
        )
        == 0
    )
