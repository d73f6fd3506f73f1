"""The workloads. Each module has

* ``TITLE`` and ``UNIT``, for the table;
* ``cases(size)``: what is to be measured at that size;
* ``measure(job)``, called in the client's process: a dict with "figure", of which the ratios
  are made, and whatever else is to be known.
"""

NAMES = ("w1", "w2", "w3", "w4", "w5", "w6", "w7")
