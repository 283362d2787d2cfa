"""The results of ``holdfast stability synthetic`` on a terminal and as a page."""
