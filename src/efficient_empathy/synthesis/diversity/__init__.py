"""Diversity: which samples to keep so that they differ (k-center) or stand for all (facility location), and by what
measure that shows.
"""

from efficient_empathy.synthesis.diversity.centers import Centers, k_center
from efficient_empathy.synthesis.diversity.facilities import Facilities, facility_location
from efficient_empathy.synthesis.diversity.measures import measure_diversity
from efficient_empathy.synthesis.diversity.record import DiversityRecord, Spread, diversity_table

__all__ = [
    "Centers",
    "DiversityRecord",
    "Facilities",
    "Spread",
    "diversity_table",
    "facility_location",
    "k_center",
    "measure_diversity",
]
