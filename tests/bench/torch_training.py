"""Speed of PyTorch training what kpar_train trains in bench_training.sh: one line, samples/s and the share of the time
that matmuls and convolutions take ('-' without --matmuls).

    torch_training.py MODEL.json --batch-size B --rows N --epochs E [--ranks R] [--matmuls]

The model is that of the JSON (torch_model.py), with sparse cross-entropy from logits, Adam or SGD, in float32.
One thread a process; several processes (--ranks) are DistributedDataParallel over gloo. As in kpar the data are rows in memory,
shuffled anew in each epoch, and the loss is summed over an epoch. The first epoch warms up and does not count; the rate is
the median of the others.
"""

import argparse
import json
import statistics
import tempfile
import time

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch_model import Model

# What PyTorch's profiler calls matrix products, attention's among them, and convolutions.
MATMULS = (
    "mm", "addmm", "bmm", "baddbmm", "mkldnn_convolution", "convolution_backward",
    "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention_for_cpu_backward",
)  # fmt: skip


def optimizer_of(config, parameters):
    """The optimizer, in PyTorch's fused form: the fastest that it has on a CPU."""
    optimizer = config["compile_config"]["optimizer"]
    options = optimizer["config"]
    rate = options["learning_rate"]
    if optimizer["class_name"] == "Adam":
        betas = (options["beta_1"], options["beta_2"])
        return torch.optim.Adam(parameters, lr=rate, betas=betas, eps=options["epsilon"], fused=True)
    return torch.optim.SGD(parameters, lr=rate, momentum=options["momentum"], fused=True)


def train_epoch(model, loss_of, optimizer, x, y, batch_size):
    total = torch.zeros(())
    order = torch.randperm(len(x))
    for first in range(0, len(x), batch_size):
        rows = order[first : first + batch_size]
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model(x[rows]).flatten(0, -2), y[rows].flatten())
        loss.backward()
        optimizer.step()
        total += loss.detach()
    return total.item()


def matmul_share(run):
    """Share of run()'s time inside MATMULS. All that is recorded makes it a little slower."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        begin = time.perf_counter()
        run()
        seconds = time.perf_counter() - begin
    inside = sum(e.self_cpu_time_total for e in profile.key_averages() if e.key.removeprefix("aten::") in MATMULS)
    return inside * 1e-6 / seconds


def train(rank, options, meeting):
    torch.set_num_threads(1)
    torch.manual_seed(rank)
    config = json.load(open(options.model))
    model = shape = Model(config)
    if options.ranks > 1:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=options.ranks)
        model = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    optimizer = optimizer_of(config, model.parameters())
    rows, batch_size = options.rows // options.ranks, options.batch_size // options.ranks
    x, y = shape.examples(rows), torch.randint(shape.classes, (rows, *shape.labels))

    def epoch():
        return train_epoch(model, torch.nn.CrossEntropyLoss(), optimizer, x, y, batch_size)

    epoch()
    rates = []
    for _ in range(options.epochs - 1):
        begin = time.perf_counter()
        epoch()
        rates.append(rows * options.ranks / (time.perf_counter() - begin))
    share = f"{matmul_share(epoch):.3f}" if options.matmuls else "-"
    if rank == 0:
        print(f"{statistics.median(rates):.1f}" if rates else "-", share)
    if options.ranks > 1:
        dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--matmuls", action="store_true")
    options = parser.parse_args()
    if options.ranks == 1:
        return train(0, options, None)
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(train, (options, folder + "/meeting"), options.ranks)


if __name__ == "__main__":
    main()
