"""Checkpoint key → the name a person knows, and what the variable is for.

The evidence decides how: the object graph of an object-based checkpoint, the keys
alone where that cannot be read, the names of TensorFlow 1. Names depend on the
structure of a file, never on values, so that checkpoints of one run agree.
"""

from ckread.model.naming.objects import OBJECT_GRAPH_KEY as OBJECT_GRAPH_KEY
from ckread.model.naming.objects import identify as identify
from ckread.model.naming.paths import unique_names as unique_names
