from . import directions as directions
from . import figures as figures
from . import trajectory as trajectory
from .directions import Directions as Directions
from .problem import Problem as Problem
from .sections import Section as Section
from .sections import section as section
from .trajectory import Trajectory as Trajectory
