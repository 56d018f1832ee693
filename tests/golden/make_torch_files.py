"""Write small files with PyTorch: ``python tests/golden/make_torch_files.py``.

``torch_zip.pth`` and ``torch_legacy.pth`` hold the same nested checkpoint;
``torch_files.npz`` holds the arrays that a reader should find in it. Made with
PyTorch 2.13.
"""

from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parent


def main() -> None:
    """Write the three files next to this one."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.Conv2d(2, 4, 3))
    base = torch.randn(5, 7)
    state = network.state_dict()  # has the _metadata attribute that real files have
    state["parameter"] = torch.nn.Parameter(torch.randn(3))
    state["half"] = torch.randn(4).half()
    state["bfloat16"] = torch.randn(4).bfloat16()
    state["double"] = torch.randn(4).double()
    state["view"] = base[1:4, 2:6].T
    state["base"] = base
    state["scalar"] = torch.tensor(2.5)
    state["empty"] = torch.zeros(0, 3)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3, 8, 8)).sum().backward()
    optimizer.step()
    checkpoint = {"epoch": 3, "state_dict": state, "optimizer": optimizer.state_dict()}
    torch.save(checkpoint, FOLDER / "torch_zip.pth")
    torch.save(
        checkpoint, FOLDER / "torch_legacy.pth", _use_new_zipfile_serialization=False
    )
    arrays = {
        name: (value.float() if value.dtype == torch.bfloat16 else value)
        .detach()
        .numpy()
        .copy()
        for name, value in state.items()
    }
    np.savez(FOLDER / "torch_files.npz", **arrays)


if __name__ == "__main__":
    main()
