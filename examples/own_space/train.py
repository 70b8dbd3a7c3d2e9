"""Train random architectures on synthetic graphs and print their test accuracies: python train.py > table.jsonl."""

import json
import sys

import numpy as np
import torch
from tiny_gcn import TinyGcn
from torch.nn.functional import cross_entropy

NUM_ARCHITECTURES, EPOCHS = int(sys.argv[1]) if sys.argv[1:] else 80, 80
torch.set_num_threads(1)
space, rng = TinyGcn(), np.random.default_rng(0)
train, test = (space.task.synthetic_batch(seed, batch_size=size) for seed, size in ((1, 600), (2, 3000)))
for arch in list(dict.fromkeys(space.sample(rng) for _ in range(2 * NUM_ARCHITECTURES)))[:NUM_ARCHITECTURES]:
    network = space.build(arch)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        cross_entropy(network(*train.inputs), train.targets).backward()
        optimizer.step()
    correct = (network(*test.inputs).argmax(1) == test.targets).double().mean().item()
    print(json.dumps({"architecture": space.to_json(arch), "accuracy": round(correct, 4)}), flush=True)
