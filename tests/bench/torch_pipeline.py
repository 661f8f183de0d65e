"""Speed of PyTorch's pipeline on what kpar_train trains in bench_bubble.sh: one line, samples/s.

    torch_pipeline.py MODEL.json --batch-size B --rows N --epochs E --ranks R --microbatches M [--schedule 1F1B|GPipe]

The model is that of the JSON, a chain of layers, cut into R stages of as many layers; torch.distributed.pipelining over gloo,
one thread a process. The first epoch warms up and does not count; the rate is the median of the others.
"""

import argparse
import json
import statistics
import tempfile
import time

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe
from torch_model import Model
from torch_training import optimizer_of

SCHEDULES = {"1F1B": Schedule1F1B, "GPipe": ScheduleGPipe}


def stage_of(model, rank, ranks):
    layers, n = list(model.layers), len(model.layers)
    return torch.nn.Sequential(*layers[rank * n // ranks : (rank + 1) * n // ranks])


def train(rank, options, meeting):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = json.load(open(options.model))
    model, ranks = Model(config), options.ranks
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    module = stage_of(model, rank, ranks)
    optimizer = optimizer_of(config, module.parameters())
    stage = PipelineStage(module, rank, ranks, torch.device("cpu"))
    schedule = SCHEDULES[options.schedule](stage, options.microbatches, loss_fn=torch.nn.CrossEntropyLoss())
    x, y = model.examples(options.rows), torch.randint(model.classes, (options.rows,))

    def epoch():
        for first in range(0, options.rows, options.batch_size):
            rows = slice(first, first + options.batch_size)
            optimizer.zero_grad(set_to_none=True)
            inputs = (x[rows],) if rank == 0 else ()
            schedule.step(*inputs, **({"target": y[rows]} if rank == ranks - 1 else {}))
            optimizer.step()
        dist.barrier()

    epoch()
    rates = []
    for _ in range(options.epochs - 1):
        begin = time.perf_counter()
        epoch()
        rates.append(options.rows / (time.perf_counter() - begin))
    if rank == 0:
        print(f"{statistics.median(rates):.1f}")
    dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    for name in ("batch-size", "rows", "epochs", "ranks", "microbatches"):
        parser.add_argument("--" + name, type=int, required=True)
    parser.add_argument("--schedule", choices=SCHEDULES, default="1F1B")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(train, (options, folder + "/meeting"), options.ranks)


if __name__ == "__main__":
    main()
