"""Time that tests wait."""

PATIENCE_S = 240.0
"""Time after which a test gives up on what ends by itself: far more than it takes, as the machine may be busy."""
PATIENT_SERVER = {"ARCHRANK_NUM_THREADS": "1", "ARCHRANK_SYNC_TIMEOUT": str(PATIENCE_S)}
"""Settings of a server that makes no job of a request, however busy the machine is."""
