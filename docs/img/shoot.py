"""Take the pictures of the documentation from a running `nightloom up`, after `make run` has filled the home.

    python docs/img/shoot.py [--server http://127.0.0.1:4200] [--explorer http://127.0.0.1:4280]

Needs `chromium` and `chromedriver`, which speaks WebDriver; nothing else.
"""

import argparse
import base64
import json
import subprocess
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

HERE = Path(__file__).parent
DRIVER = "http://127.0.0.1:9517"
BROWSER = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-prefers-reduced-motion"]


def ask(address: str, body: dict | None = None) -> Any:
    """JSON from an address."""
    data = None if body is None else json.dumps(body).encode()
    return json.load(urlopen(Request(address, data, {"content-type": "application/json"})))


def pages(server: str, explorer: str) -> Iterator[tuple[str, str, tuple[int, int], int]]:
    """Name, address, size and seconds to wait of each picture."""
    deployments = {d["name"]: d["id"] for d in ask(f"{server}/api/deployments/filter", {})}
    yield "form", f"{server}/deployments/deployment/{deployments['denoise']}/run", (1200, 1500), 6
    run = ask(f"{explorer}/api/runs?flow=denoise&status=completed&size=1")["rows"][0]["run"]
    cube = ask(f"{explorer}/api/products?kind=clean_cube&size=1")["rows"][0]["id"]
    yield "explorer", f"{explorer}/", (1280, 900), 3
    yield "explorer-cube", f"{explorer}/products/{cube}", (1280, 900), 3
    yield "explorer-run", f"{explorer}/runs/{run}", (1280, 2050), 3
    yield "explorer-samples", f"{explorer}/datasets/denoise/1", (1280, 700), 3


def main() -> None:
    """Take all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="http://127.0.0.1:4200")
    parser.add_argument("--explorer", default="http://127.0.0.1:4280")
    given = parser.parse_args()
    driver = subprocess.Popen(["chromedriver", f"--port={DRIVER.rpartition(':')[2]}"], stdout=subprocess.DEVNULL)
    try:
        time.sleep(2)
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": BROWSER}}}}
        session = f"{DRIVER}/session/{ask(f'{DRIVER}/session', wanted)['value']['sessionId']}"
        for name, address, (width, height), seconds in pages(given.server, given.explorer):
            ask(f"{session}/window/rect", {"width": width, "height": height})
            ask(f"{session}/url", {"url": address})
            time.sleep(seconds)
            save(base64.b64decode(ask(f"{session}/screenshot")["value"]), HERE / f"{name}.png")
    finally:
        driver.terminate()


def save(picture: bytes, path: Path) -> None:
    """Write a picture with 256 colours: a third of the size."""
    from PIL import Image

    Image.open(BytesIO(picture)).convert("RGB").quantize(256).save(path, optimize=True)
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
