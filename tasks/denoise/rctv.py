"""RCTV: representative components of small total variation, with what is sparse in the cube taken out before."""

from dataclasses import dataclass

from tasks.denoise.otvca import OTVCA


@dataclass(frozen=True)
class RCTV(OTVCA):
    """Mixed noise: impulses, dead lines and stripes are separated first, then total variation smooths the components.

    The sparse part is found by the robust front end, which drops an outlier whole; the l1 penalty of the paper would
    leave its threshold in the scene.

    References
    ----------
    Peng, Wang, Cao, Zhao & Meng, IEEE TGRS 60, 2022.
    """

    robust: bool = True
