"""What DINOv2's patches of a bird have in common, in 384 bytes.

Fitted by `mgff_tutorial.experiments.directions` to the boxes of the 600 training photographs of the
first 20 classes of CUB-200-2011, at 224 x 224 pixels.
"""

from .directions import unpacked

BIRD = unpacked(
    "CAoEIiv3/gntCM8RQQvcJzSta6/OMuYdRSj50somFwD1Pa4Y4L7YyO0NqQspHOtlBwvTKhYLCPAj/woYAPxOHSAX"
    "KiH0BeyL3SAX2uXVMQtCCtqc6iTTSTXX+GzmFFvlxCkM7/zQJhKtFbQFEvPaCdsS4j8w4/8UJhH3CSsZBx/Tbt21"
    "Bwnm/sPaxgoIHP8iCvsZG9y61koUNywT9BB9CPUs8PPi3ekFCScGDAu2LDzx/TebQt3dJR37Ig7oKQgqB9D68vcJ"
    "+9MD0vzkJgnU1gsKBMwf4+WWUIHf8qAW1gzIAgDyCz/tIfbj68HsMY8M0ub2Bg1M9g24xvo/DhDoB/YoCdD/vUoJ"
    "ts3+2/r/ZQIQ3t8J4CQZyfMKDRYH7ygs964b3Q362+MCHTgA72v3BAMVFeAT2z0M191HQ+I7HAfo7wwX4dz2D+n0"
    "GtHpKd7S+C8eHwE+49e1DgAVFgVi9grSzcrZIdX8zvNJ0vwj+grUyhk/whnnxsr78PHe3zAm",
    top=11.8445,
    offset=2.08018,
    made_for="vit_small_patch14_dinov2",
)
