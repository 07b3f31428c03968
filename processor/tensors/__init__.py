"""Named arrays: the sums under their norms, and the file that holds them."""

from processor.tensors.arrays import BLOCK, Array, Layout, Shape, Tensors, all_finite, blocks, positive_zero
from processor.tensors.form import file_size
from processor.tensors.norms import folded
from processor.tensors.reading import TensorFile
from processor.tensors.writing import TensorWriter, write_tensors

__all__ = [
    "BLOCK",
    "Array",
    "Layout",
    "Shape",
    "TensorFile",
    "TensorWriter",
    "Tensors",
    "all_finite",
    "blocks",
    "file_size",
    "folded",
    "positive_zero",
    "write_tensors",
]
