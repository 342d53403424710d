from ._style import save_figure as save_figure
