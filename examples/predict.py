"""A small random search over the HTTP API of a running archrank.

    archrank serve &
    python examples/predict.py [http://127.0.0.1:8000]

Each generation samples architectures, preselects the best by structure alone (milliseconds), and predicts these with
proxies. The script needs httpx, and nothing of archrank.
"""
# ruff: noqa: T201

import json
import sys
from typing import Any

import httpx

GENERATIONS, SAMPLE_SIZE, PRESELECTED = 3, 32, 2


def predict(client: httpx.Client, **request: Any) -> list[dict[str, Any]]:
    """Return the predictions, best first, without the architectures that failed."""
    response = client.post("/v1/predictions", json=request)
    if response.is_error:
        sys.exit(response.json()["detail"])
    predictions = [item for item in response.json()["predictions"] if "error" not in item]
    return sorted(predictions, key=lambda item: item["rank"])


def main(url: str) -> None:
    """Search, and print the best architecture."""
    best: dict[str, Any] = {"accuracy": 0.0}
    with httpx.Client(base_url=url, timeout=300) as client:
        for generation in range(GENERATIONS):
            body = {"number": SAMPLE_SIZE, "seed": generation}
            sample = client.post("/v1/spaces/gcn-nas/sample", json=body).raise_for_status().json()
            preselected = predict(client, **sample, proxies=[])[:PRESELECTED]
            predictions = predict(client, architectures=[item["architecture"] for item in preselected])
            best = max(best, *predictions, key=lambda item: item["accuracy"])
            print(f"generation {generation}: best predicted accuracy so far {best['accuracy']:.4f}")
    print(json.dumps(best["architecture"]))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
