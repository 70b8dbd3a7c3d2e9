"""A small random search that leaves the judging to a running archrank.

    archrank serve &
    python examples/predict.py [http://127.0.0.1:8000]

Each generation draws many architectures, sifts them by structure alone (milliseconds), and has the best of them
predicted in full. It needs httpx and nothing else of archrank.
"""
# ruff: noqa: T201

import json
import sys
from typing import Any

import httpx

GENERATIONS, DRAWN, KEPT = 3, 32, 2


def predict(client: httpx.Client, **request: Any) -> list[dict[str, Any]]:
    """The predictions that could be made, best first."""
    answer = client.post("/v1/predictions", json=request)
    if answer.is_error:
        sys.exit(answer.json()["detail"])
    return sorted((item for item in answer.json()["predictions"] if "error" not in item), key=lambda item: item["rank"])


def main(url: str) -> None:
    """Search; print the best architecture at the end."""
    best: dict[str, Any] = {"accuracy": 0.0}
    with httpx.Client(base_url=url, timeout=300) as client:
        for generation in range(GENERATIONS):
            drawn = client.get("/v1/spaces/gcn-nas/sample", params={"n": DRAWN, "seed": generation}).raise_for_status()
            sifted = predict(client, **drawn.json(), proxies=[])[:KEPT]
            found = predict(client, architectures=[item["architecture"] for item in sifted])
            best = max(best, *found, key=lambda item: item["accuracy"])
            print(f"generation {generation}: best predicted accuracy so far {best['accuracy']:.4f}")
    print(json.dumps(best["architecture"]))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
