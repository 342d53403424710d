from ._style import save_figure as save_figure
from .displacement import tamsd_by_waiting_time as tamsd_by_waiting_time
from .surface import basin_losses as basin_losses
from .surface import clustering_curves as clustering_curves
from .surface import curvature_law as curvature_law
from .surface import minima_map as minima_map
from .surface import surface_with_walk as surface_with_walk
