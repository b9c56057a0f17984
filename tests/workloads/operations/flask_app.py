"""A Flask application, instrumented as its users do it."""
import threading

import telemetry
from flask import Flask, request
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from werkzeug.serving import make_server

app = Flask(__name__)
FlaskInstrumentor().instrument_app(app)


@app.get("/orders/<int:number>")
def order(number):
    span = trace.get_current_span()
    span.set_attribute("enduser.id", "ada@PLANTED0SECRET.example")
    span.set_attribute("gen_ai_prompt", "PLANTED0SECRET")
    telemetry.burn_for(float(request.args.get("cpu", 0)))
    return {"order": number}


@app.get("/fail")
def fail():
    raise RuntimeError("PLANTED0SECRET")


server = make_server("127.0.0.1", telemetry.PORT, app, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
telemetry.flush_when_told()
