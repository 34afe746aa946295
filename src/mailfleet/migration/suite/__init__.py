"""Operating characteristics of the rules the controller decides by, measured on synthetic worlds.

`bounces`, `placements` and `outages` make worlds and look at them with the functions of `rules.migration`; `table` runs
many and prints shares with their 95 % intervals. Plain Python over processes; every run is seeded by its number.
"""
