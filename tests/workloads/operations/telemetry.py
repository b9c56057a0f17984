"""OpenTelemetry as an application sets it up: `PORT DOOR KEY [PID]` are the arguments; PID is a lie about who sends."""
import os
import sys
import time

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

PORT, DOOR, KEY = int(sys.argv[1]), sys.argv[2], os.environ["PROJECT_KEY"]
PID = int(sys.argv[3]) if len(sys.argv) > 3 else os.getpid()

# What must not be kept: in an attribute of the resource that is on no list.
resource = Resource({"service.name": "orders", "process.pid": PID, "process.command_line": "x PLANTED0SECRET"})
headers = {"Authorization": f"Bearer {KEY}"}
spans = TracerProvider(resource=resource)
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{DOOR}/v1/traces", headers=headers)))
trace.set_tracer_provider(spans)
reader = PeriodicExportingMetricReader(
    OTLPMetricExporter(f"{DOOR}/v1/metrics", headers=headers), export_interval_millis=3_600_000)
meters = MeterProvider(resource=resource, metric_readers=[reader])
metrics.set_meter_provider(meters)


def burn_for(seconds):
    """Uses the CPU under a name that a profile shows."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def flush_when_told():
    """Sends what waits at each line of the standard input."""
    print("ready", flush=True)
    for _ in sys.stdin:
        print(spans.force_flush(), meters.force_flush(), flush=True)
