"""Batches as PyTorch tensors; PyTorch is needed only by who imports this module.

    loader = DataLoader(TorchBatches(ShardReader(uri), Schedule(len(reader), batch=64)), batch_size=None, num_workers=2)

``batch_size=None``: an item is a whole batch already; collating single samples would cost more than reading them.
"""

from collections.abc import Iterator

import torch
from torch.utils.data import IterableDataset, get_worker_info

from storage.batches import Schedule
from storage.reader import ShardReader


class TorchBatches(IterableDataset):
    """The batches of one epoch; set ``epoch`` (and ``start``, to resume) before each pass."""

    def __init__(self, reader: ShardReader, schedule: Schedule, epoch: int = 0, start: int = 0) -> None:
        self.reader, self.schedule, self.epoch, self.start = reader, schedule, epoch, start

    def __len__(self) -> int:
        return self.schedule.steps - self.start

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for step in range(self.start + first, self.schedule.steps, stride):
            batch = self.reader.gather(*self.schedule.step(self.epoch, step))
            yield {name: torch.from_numpy(values) for name, values in batch.items()}
