from . import figures as figures
from . import source_data as source_data
from ._io import DamagedFileError as DamagedFileError
from ._result import Provenance as Provenance
from .landscape import Landscape as Landscape
