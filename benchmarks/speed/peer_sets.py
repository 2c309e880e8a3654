"""Which maps the peers get; nothing here needs a package."""

SIZES = (256, 512, 1024, 2048, 4096, 8192)
INSTANCES = (1, 10, 100, 1000, 10_000)
CLASSES = (21, 81, 151, 1204)
PAIRS = {"voc": 100, "city": 10, "real": 100}
FOLDERS = {
    "voc": ("predictions", "truth/SegmentationClass", "truth/SegmentationObject"),
    "city": ("predictions", "semantic", "instances"),
    "real": ("predictions/voc_dinov3_pspnet", "voc/SegmentationClass", "voc/SegmentationObject_derived"),
}
