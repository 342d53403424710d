from ._style import save_figure as save_figure
from .displacement import tamsd_by_waiting_time as tamsd_by_waiting_time
