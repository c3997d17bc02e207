"""Diversity: which samples to keep so that they differ (k-center) or stand for all (facility location), and by what."""

from efficient_empathy.synthesis.diversity.centers import Centers, k_center
from efficient_empathy.synthesis.diversity.facilities import Facilities, facility_location

__all__ = ["Centers", "Facilities", "facility_location", "k_center"]
