//! The tables of traffic and of block I/O.

use super::{AGENT, CALLS, Column, END, PID, PROCESS, START, Type, column, optional};

const ADDRESS: Column =
    optional("address", Type::Text, "the peer's address; none of unix sockets, and where many were merged");
const PORT: Column = column("port", Type::Int, "the port: the peer's of a client, else the process's own");
const PROTOCOL: Column = column("protocol", Type::Text, "tcp, udp, unix or other");
const SIDE: Column = column("side", Type::Text, "client, or server where the peer turned to the process");
const HOST: Column = optional("host", Type::Text, "the name that was looked up for the address");
const DEVICE: Column = column("device", Type::Text, "the device; empty where many were merged");
const OPERATION: Column = column("operation", Type::Text, "read, write, flush or discard");
const BACKGROUND: Column =
    column("background", Type::Bool, "whether the kernel wrote later what was left in memory");
const LOG2: Column = column("log2_ns", Type::Int, "log2 of the time in ns, rounded down");

pub(super) const NETWORK: [Column; 17] = [
    AGENT,
    START,
    END,
    PID,
    PROCESS,
    ADDRESS,
    PORT,
    PROTOCOL,
    SIDE,
    HOST,
    column("sent_bytes", Type::Int, "bytes that calls sent"),
    column("received_bytes", Type::Int, "bytes that calls received"),
    column("connects", Type::Int, "connections made"),
    column("accepts", Type::Int, "connections accepted"),
    column("retransmits", Type::Int, "times that segments were sent again"),
    column("connect_ns", Type::Int, "time to make the connections, ns"),
    column("connect_max_ns", Type::Int, "the longest, ns"),
];

pub(super) const NETWORK_FAILURES: [Column; 13] = [
    AGENT,
    START,
    END,
    PID,
    PROCESS,
    ADDRESS,
    PORT,
    PROTOCOL,
    SIDE,
    HOST,
    column("errno", Type::Int, "the error's number; 0 where the process gave up"),
    optional("error", Type::Text, "its name"),
    column("count", Type::Int, "connections"),
];

pub(super) const NETWORK_CONNECT_TIMES: [Column; 12] = [
    AGENT,
    START,
    END,
    PID,
    PROCESS,
    ADDRESS,
    PORT,
    PROTOCOL,
    SIDE,
    HOST,
    LOG2,
    column("count", Type::Int, "connections"),
];

pub(super) const DISK: [Column; 14] = [
    AGENT,
    START,
    END,
    PID,
    PROCESS,
    DEVICE,
    OPERATION,
    BACKGROUND,
    column("count", Type::Int, "requests that completed, as they were submitted"),
    column("errors", Type::Int, "those that failed"),
    column("bytes", Type::Int, "bytes of those that did not"),
    column("queue_ns", Type::Int, "time before they were handed to the device, ns"),
    column("device_ns", Type::Int, "time from then on, ns"),
    column("max_ns", Type::Int, "the longest from beginning to end, ns"),
];

pub(super) const DISK_LATENCIES: [Column; 10] =
    [AGENT, START, END, PID, PROCESS, DEVICE, OPERATION, BACKGROUND, LOG2, CALLS];
