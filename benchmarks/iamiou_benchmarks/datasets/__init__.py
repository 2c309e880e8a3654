"""Data sets: VOC, COCO, voc-mini, folders, and the generated `shapes`."""
