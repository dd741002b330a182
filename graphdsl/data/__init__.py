"""Where samples come from: readers, binding to a model, batches, changes to pictures."""

from graphdsl.data.arrays import arrays
from graphdsl.data.augment import AUGMENTS, Augment, EachSample
from graphdsl.data.batches import Batches
from graphdsl.data.bind import Batch, Bound, bind, bucket
from graphdsl.data.column import Column, Dense, Labels, Ragged, Texts
from graphdsl.data.conform import Wanted
from graphdsl.data.csv_file import Csv
from graphdsl.data.dataset import INPUT, TARGET, Dataset, Feed, split
from graphdsl.data.digits import Digits
from graphdsl.data.files import Places
from graphdsl.data.folder import Folder
from graphdsl.data.idx import Idx
from graphdsl.data.images import Images, decode
from graphdsl.data.numpy_files import Npy, Npz
from graphdsl.data.photo import SOURCES
from graphdsl.data.registry import READERS, Reader, read

__all__ = [
    "AUGMENTS",
    "INPUT",
    "READERS",
    "SOURCES",
    "TARGET",
    "Augment",
    "Batch",
    "Batches",
    "Bound",
    "Column",
    "Csv",
    "Dataset",
    "Dense",
    "Digits",
    "EachSample",
    "Feed",
    "Folder",
    "Idx",
    "Images",
    "Labels",
    "Npy",
    "Npz",
    "Places",
    "Ragged",
    "Reader",
    "Texts",
    "Wanted",
    "arrays",
    "bind",
    "bucket",
    "decode",
    "read",
    "split",
]
