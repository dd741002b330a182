"""The keys that Darknet reads, section by section, and what is said of any other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphdsl.interop.darknet.cfg import Section
from graphdsl.report import nearest

MOST_TOLD = 20
"""Keys that get a line each in the head of a spec."""
LONGEST = 60
"""Letters of a key that are shown."""

_EVERY = """burnin_update clip dont_update dontload dontloadscales dontsave learning_rate numload onlyforward
    smooth stopbackward train_only_bn truth"""
"""Of all sections behind [net]."""
_NET = """B1 B2 adam adversarial adversarial_lr angle aspect attention augment_speed badlabels_rejection_percentage
    batch blur burn_in center channels clip contrastive contrastive_color contrastive_jit_flip cutmix decay
    dynamic_minibatch ema_alpha eps equidistant_point exposure flip gamma gaussian_noise height hue inputs
    label_smooth_eps learning_rate learning_rate_max learning_rate_min letter_box loss_scale max_batches max_chart_loss
    max_crop max_ratio min_crop min_ratio mixup momentum mosaic mosaic_bound notruth num_sigmas_reject_badlabels
    optimized_memory policy power random resize_step saturation scale scales seen seq_scales sequential_subdivisions
    sgdr_cycle sgdr_mult show_receptive_field step steps subdivisions time_steps track try_fix_nan unsupervised
    use_cuda_graph weights_reject_freq width workspace_size_limit_MB"""
_CONVOLUTIONAL = """activation angle antialiasing assisted_excitation batch_normalize bin_output binary cbn coordconv
    dilation dot filters flipped grad_centr groups pad padding reverse rotate share_index size stream stretch
    stretch_sway stride stride_x stride_y sway wait_stream xnor"""
_DECONVOLUTIONAL = "activation batch_normalize filters flipped pad padding size stride stride_x stride_y"
_CONNECTED = "activation batch_normalize output"
_POOL = "antialiasing maxpool_depth maxpool_zero_nonmax out_channels padding size stride stride_x stride_y"
_LOCAL_AVGPOOL = "padding size stride stride_x stride_y"
_REORG = "extra flatten reverse stride"
_CROP = "angle crop_height crop_width exposure flip noadjust saturation shift"
_SHORTCUT = "activation alpha beta from weights_normalization weights_normalizion weights_type"
_IMPLICIT = "atoms filters mean std"
_DROPOUT = "dropblock dropblock_size dropblock_size_abs dropblock_size_rel probability"
_SOFTMAX = "groups noloss spatial temperature tree"
_COST = "noobj ratio scale thresh type"
_YOLO = """anchors beta_nms classes cls_normalizer counters_per_class delta_normalizer dets_for_show dets_for_track
    embedding_layer focal_loss ignore_thresh iou_loss iou_normalizer iou_thresh iou_thresh_kind jitter label_smooth_eps
    map mask max max_delta new_coords nms_kind num obj_normalizer objectness_smooth random resize scale_x_y
    show_details sim_thresh track_ciou_norm track_history_size truth_thresh uc_normalizer yolo_point"""
_REGION = """absolute anchors background bias_match class_scale classes classfix coord_scale coords focal_loss jitter
    log map mask_scale max noobject_scale num object_scale random rescore resize small_object softmax sqrt thresh
    tree"""
_DETECTION = """background class_scale classes coord_scale coords forced jitter joint max noobject_scale num nuisance
    object_scale objectness random reorg rescore resize side softmax sqrt"""
_CONTRASTIVE = "classes cls_normalizer contrastive_neg_max max_delta temperature yolo_layer"
_VECTOR = "activation from"

KNOWN: Mapping[str, str] = {
    "net": _NET,
    "network": _NET,
    "convolutional": _CONVOLUTIONAL,
    "conv": _CONVOLUTIONAL,
    "deconvolutional": _DECONVOLUTIONAL,
    "deconv": _DECONVOLUTIONAL,
    "connected": _CONNECTED,
    "conn": _CONNECTED,
    "local": "activation filters pad size stride",
    "batchnorm": "",
    "activation": "activation",
    "maxpool": _POOL,
    "max": _POOL,
    "avgpool": "",
    "avg": "",
    "local_avgpool": _LOCAL_AVGPOOL,
    "local_avg": _LOCAL_AVGPOOL,
    "upsample": "scale stride",
    "reorg": _REORG,
    "reorg_old": _REORG,
    "reorg3d": _REORG,
    "crop": _CROP,
    "route": "group_id groups layers stream wait_stream",
    "shortcut": _SHORTCUT,
    "scale_channels": "activation from scale_wh",
    "sam": _VECTOR,
    "implicit": _IMPLICIT,
    "implicit_add": _IMPLICIT,
    "implicit_mul": _IMPLICIT,
    "shift_channels": _VECTOR,
    "control_channels": _VECTOR,
    "dropout": _DROPOUT,
    "softmax": _SOFTMAX,
    "soft": _SOFTMAX,
    "cost": _COST,
    "logistic": "",
    "l2norm": "",
    "empty": "",
    "silence": "",
    "yolo": _YOLO,
    "Gaussian_yolo": _YOLO,
    "region": _REGION,
    "detection": _DETECTION,
    "contrastive": _CONTRASTIVE,
}
"""By kind, of pjreddie's and AlexeyAB's, today's and earlier. Kinds that are refused whatever they say have none."""


def known_keys(section: Section) -> frozenset[str]:
    """What a section may say; nothing for kinds that are refused."""
    if section.kind not in KNOWN:
        return frozenset()
    return frozenset(KNOWN[section.kind].split()).union(_EVERY.split() if section.number >= 0 else ())


def strange_keys(sections: Iterable[Section]) -> list[str]:
    """Remarks on keys that no Darknet knows, one for each key however many sections have it.

    Raises E0902 for one that is nearly the name of a key that its section lacks.
    """
    found: dict[str, list[str]] = {}
    for section in sections:
        place = section.name if section.number >= 0 else f"[{section.kind}]"
        for key in _unknown(section):
            found.setdefault(key, []).append(place)
    told = [_remark(key, places) for key, places in list(found.items())[:MOST_TOLD]]
    more = len(found) - len(told)
    return [*told, f"{more:,} more such keys."] if more else told


def _unknown(section: Section) -> list[str]:
    """Its keys that no Darknet knows, none of them a slip."""
    known = known_keys(section)
    unknown = [key for key in section.options if known and key not in known]
    for key in unknown:
        _demand_far(section, key, known)
    return unknown


def _demand_far(section: Section, key: str, known: frozenset[str]) -> None:
    meant = nearest(key, known.difference(section.options))
    if meant is not None:
        raise section.refuse(
            f"the key `{key}` is none of Darknet's, which would pass over it",
            key=key,
            code="E0902",
            help=f"did you mean `{meant}`? If not, take the line out",
        )


def _remark(key: str, places: list[str]) -> str:
    shown = "".join(c if c.isprintable() else "?" for c in key[:LONGEST])
    more = f" and {len(places) - 1:,} more" if len(places) > 1 else ""
    return f"`{shown}` of {places[0]}{more} means nothing: no Darknet knows such a key."
