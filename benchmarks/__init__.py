"""What streamsafe costs, against what people would use instead and against the limit.

Run ``python -m benchmarks``. The way of a figure: a workload lists cases; for each case the runner
starts one server, which renders its bodies beforehand, and then one fresh process for each peer
and round; the figures of a round are divided by those of the limit in the same round, and the
table shows the medians. Nothing here is imported by the package.
"""
