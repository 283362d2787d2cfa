"""What fine-tuning did to the representation: probes of it, measures without labels, and a monitor for training.

Representational collapse is the question of Aghajanyan et al., "Better Fine-Tuning by Reducing Representational
Collapse" (arXiv 2008.03156, 2020). Importing this room is cheap: torch loads when a name that needs it is first used.
"""

from holdfast.lazy import names_from_stub

__getattr__, __dir__, __all__ = names_from_stub(__name__, __file__)
