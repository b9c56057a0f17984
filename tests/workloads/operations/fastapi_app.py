"""A FastAPI application, instrumented as its users do it."""
import threading

import telemetry
import uvicorn
from fastapi import FastAPI, HTTPException
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

app = FastAPI()


@app.get("/orders/{number}")
def order(number: int, cpu: float = 0):
    telemetry.burn_for(cpu)
    return {"order": number}


@app.get("/fail")
def fail():
    raise HTTPException(503, "PLANTED0SECRET")


FastAPIInstrumentor.instrument_app(app)
config = uvicorn.Config(app, host="127.0.0.1", port=telemetry.PORT, log_level="warning")
server = uvicorn.Server(config)
thread = threading.Thread(target=server.run, daemon=True)
thread.start()
while not server.started:
    thread.join(0.01)
telemetry.flush_when_told()
