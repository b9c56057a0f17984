//! The tables of exchanges over HTTP.

use super::{AGENT, Column, END, PID, PROCESS, START, Type, column, optional};

const SIDE: Column = column("side", Type::Text, "client where the process asked, else server");
const KIND: Column = column("kind", Type::Text, "http, or what was carried: llm, mcp");
const SERVER: Column =
    optional("server_address", Type::Text, "who was asked; none of what the process serves");
const PORT: Column = optional("server_port", Type::Int, "the port that was asked");
const METHOD: Column = optional("method", Type::Text, "the method");
const ROUTE: Column = optional("route", Type::Text, "the path's template; {other} of those beyond the bound");
const STATUS: Column = optional("status", Type::Int, "the answer's status; none where no answer came");

pub(super) const HTTP: [Column; 19] = [
    AGENT,
    START,
    END,
    PID,
    PROCESS,
    SIDE,
    KIND,
    SERVER,
    PORT,
    METHOD,
    ROUTE,
    STATUS,
    column("count", Type::Int, "exchanges"),
    column("errors", Type::Int, "those that failed: 400 or more, a failure of gRPC, or no answer"),
    column("partial", Type::Int, "those of which something was not seen"),
    column("request_bytes", Type::Int, "bytes of the requests' bodies, as on the wire"),
    column("response_bytes", Type::Int, "bytes of the answers' bodies, as on the wire"),
    column("total_ns", Type::Int, "from the first byte of a request to the last of its answer, ns"),
    column("max_ns", Type::Int, "the longest, ns"),
];

pub(super) const HTTP_DURATIONS: [Column; 14] = [
    AGENT,
    START,
    END,
    PID,
    PROCESS,
    SIDE,
    KIND,
    SERVER,
    PORT,
    METHOD,
    ROUTE,
    STATUS,
    column("up_to_ns", Type::Int, "the longest time that is counted here, ns; at least 15/16 of it"),
    column("count", Type::Int, "exchanges"),
];
