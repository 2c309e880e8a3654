"""Build size-balanced evaluation sets, PASCAL-B first, from LVIS and COCO annotations."""
