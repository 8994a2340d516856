"""Exports the network of this example by PyTorch: 4 measurements in, a score for each of 3 species out.

Run it with any Python that has torch; PinGo itself needs neither. model.onnx beside this file is what it wrote.
"""
import torch
from torch import nn


class Penguins(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 32), nn.GELU())
        self.head = nn.Linear(32, 3)

    def forward(self, measurements: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(measurements))


torch.manual_seed(0)
torch.onnx.export(
    Penguins().eval(),
    torch.zeros(1, 4),
    "model.onnx",
    input_names=["measurements"],
    output_names=["scores"],
    dynamic_axes={"measurements": {0: "batch"}, "scores": {0: "batch"}},
    opset_version=14,
)
