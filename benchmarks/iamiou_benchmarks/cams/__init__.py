"""Class maps: their files, seeds made of them, affinities, CRF."""
