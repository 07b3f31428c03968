"""Named arrays: their norms, and the file that holds them."""

from processor.tensors.arrays import BLOCK, Array, Layout, Shape, Tensors, all_finite, blocks, positive_zero
from processor.tensors.form import HEADER_LIMIT
from processor.tensors.norms import folded, norm, squared_norm
from processor.tensors.reading import TensorFile
from processor.tensors.writing import TensorWriter, write_tensors

__all__ = [
    "BLOCK",
    "HEADER_LIMIT",
    "Array",
    "Layout",
    "Shape",
    "TensorFile",
    "TensorWriter",
    "Tensors",
    "all_finite",
    "blocks",
    "folded",
    "norm",
    "positive_zero",
    "squared_norm",
    "write_tensors",
]
