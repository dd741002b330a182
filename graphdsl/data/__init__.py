"""Where samples come from: readers, binding to a model, batches, changes to pictures."""

from graphdsl.data.anchors import Anchors, chosen, shared_out, suits, written
from graphdsl.data.arrays import arrays
from graphdsl.data.augment import AUGMENTS, Augment, EachSample
from graphdsl.data.augment_scenes import Mosaic
from graphdsl.data.batches import Batches
from graphdsl.data.bind import Batch, Bound, bind, bucket
from graphdsl.data.box_files import Yolo
from graphdsl.data.boxes import WHOLE, Boxes, Part
from graphdsl.data.coco import Coco, CocoIds, coco_ids
from graphdsl.data.column import Column, Dense, Labels, Numerals, Ragged, Rows, Texts
from graphdsl.data.csv_file import Csv
from graphdsl.data.dataset import INPUT, TARGET, Dataset, Feed, split
from graphdsl.data.digits import Digits
from graphdsl.data.files import Places, read_bytes, unreadable
from graphdsl.data.folder import Folder
from graphdsl.data.follow import demand_augments, views
from graphdsl.data.idx import Idx
from graphdsl.data.images import ENDINGS, Images, decode, natural_size
from graphdsl.data.joined import Joined
from graphdsl.data.named_files import Files
from graphdsl.data.numpy_files import Npy, Npz, map_npy
from graphdsl.data.photo import SOURCES
from graphdsl.data.point_files import PointTable, Pts
from graphdsl.data.points import Points
from graphdsl.data.prepare import Training, every, none, vocabularies
from graphdsl.data.preprocess import (
    NO_STEPS,
    STEPS,
    AnyStep,
    ColumnStep,
    Fitted,
    Preprocess,
    Spelling,
    State,
    Step,
    shaped,
)
from graphdsl.data.preprocess_fitted import Fill, Log, MinMax, OneHot, Standardize
from graphdsl.data.preprocess_numbers import Counting
from graphdsl.data.preprocess_pictures import Resize
from graphdsl.data.preprocess_sound import MuLaw
from graphdsl.data.preprocess_text import Tokeniser
from graphdsl.data.registry import READERS, Reader, read
from graphdsl.data.running_sound import RunningSound
from graphdsl.data.sounds import SOUNDS, Sounds, read_sounds
from graphdsl.data.text_files import Lines, RunningText
from graphdsl.data.voc import Voc
from graphdsl.data.vocabulary import STRANGE, UNKNOWN, Vocabulary
from graphdsl.data.wanted import Wanted
from graphdsl.data.wav import MOST_CHANNELS, Sound, read_wav, wav_bytes
from graphdsl.data.word_vectors import in_array, in_text

__all__ = [
    "AUGMENTS",
    "ENDINGS",
    "INPUT",
    "MOST_CHANNELS",
    "NO_STEPS",
    "READERS",
    "SOUNDS",
    "SOURCES",
    "STEPS",
    "STRANGE",
    "TARGET",
    "UNKNOWN",
    "WHOLE",
    "Anchors",
    "AnyStep",
    "Augment",
    "Batch",
    "Batches",
    "Bound",
    "Boxes",
    "Coco",
    "CocoIds",
    "Column",
    "ColumnStep",
    "Counting",
    "Csv",
    "Dataset",
    "Dense",
    "Digits",
    "EachSample",
    "Feed",
    "Files",
    "Fill",
    "Fitted",
    "Folder",
    "Idx",
    "Images",
    "Joined",
    "Labels",
    "Lines",
    "Log",
    "MinMax",
    "Mosaic",
    "MuLaw",
    "Npy",
    "Npz",
    "Numerals",
    "OneHot",
    "Part",
    "Places",
    "PointTable",
    "Points",
    "Preprocess",
    "Pts",
    "Ragged",
    "Reader",
    "Resize",
    "Rows",
    "RunningSound",
    "RunningText",
    "Sound",
    "Sounds",
    "Spelling",
    "Standardize",
    "State",
    "Step",
    "Texts",
    "Tokeniser",
    "Training",
    "Voc",
    "Vocabulary",
    "Wanted",
    "Yolo",
    "arrays",
    "bind",
    "bucket",
    "chosen",
    "coco_ids",
    "decode",
    "demand_augments",
    "every",
    "in_array",
    "in_text",
    "map_npy",
    "natural_size",
    "none",
    "read",
    "read_bytes",
    "read_sounds",
    "read_wav",
    "shaped",
    "shared_out",
    "split",
    "suits",
    "unreadable",
    "views",
    "vocabularies",
    "wav_bytes",
    "written",
]
