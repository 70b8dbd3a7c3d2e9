"""A small random search that asks a running archrank for its opinion of every generation.

    archrank serve &
    python examples/predict.py [http://127.0.0.1:8000]

It needs httpx and nothing else of archrank.
"""
# ruff: noqa: T201

import json
import sys

import httpx

GENERATIONS, SIZE = 3, 8


def main(url: str) -> None:
    """Draw, predict, keep the best; print it at the end."""
    best, best_accuracy = None, 0.0
    with httpx.Client(base_url=url, timeout=300) as client:
        for generation in range(GENERATIONS):
            sample = client.get("/v1/spaces/gcn-nas/sample", params={"n": SIZE, "seed": generation}).raise_for_status()
            answer = client.post("/v1/predictions", json=sample.json())
            if answer.is_error:
                sys.exit(answer.json()["detail"])
            for item in answer.json()["predictions"]:
                if "error" in item:
                    print(item["error"]["detail"], file=sys.stderr)
                elif item["accuracy"] > best_accuracy:
                    best, best_accuracy = item["architecture"], item["accuracy"]
            print(f"generation {generation}: best predicted accuracy so far {best_accuracy:.4f}")
    print(json.dumps(best))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
