"""Observers: what streams tell, turned into figures, alerts, logs, spans and metrics.

The monitor keeps figures, the exporters carry them to other systems. All of them know lifecycle
records alone: no stream, no socket. Nothing here is imported until it is asked for, and an
exporter's library only when the exporter is made.
"""
