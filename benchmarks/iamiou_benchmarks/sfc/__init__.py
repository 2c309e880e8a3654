"""Parts of SFC: distribution coefficient, image bank, prototypes, calibrated maps, pushes."""
