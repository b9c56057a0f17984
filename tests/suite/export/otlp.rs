//! OTLP against receivers that are made of the protocol's own types: a real server of gRPC, and one of HTTP.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use agentperf::{
    config::{self, Config, OtlpProtocol, Overrides},
    export::otlp::Otlp,
    model::{
        agent::AgentEnd,
        process::{Exit, Process},
        record::Record,
        time::Timestamp,
    },
    store::{Follower, Limits, Memory},
    telemetry::{HostInfo, Loss, Telemetry},
};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::any_value::Value,
    metrics::v1::{metric::Data, number_data_point},
    trace::v1::Span,
};
use prost::Message;
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status, codec::CompressionEncoding, transport::Server};

use super::{agent, metrics, process, receiver::Receiver, until};

/// What a receiver of gRPC got.
#[derive(Clone, Debug, Default)]
struct Collector {
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    logs: Arc<Mutex<Vec<ExportLogsServiceRequest>>>,
    /// What it answers to traces first.
    refusals: Arc<Mutex<Vec<Code>>>,
    keys: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let key = request.metadata().get("api-key").map(|key| key.to_str().unwrap().to_owned());
        self.keys.lock().unwrap().extend(key.clone());
        if let Some(code) = self.refusals.lock().unwrap().pop() {
            return Err(Status::new(code, format!("not with {}", key.unwrap_or_default())));
        }
        self.traces.lock().unwrap().push(request.into_inner());
        let partial =
            ExportTracePartialSuccess { rejected_spans: 1, error_message: "one too many".to_owned() };
        Ok(Response::new(ExportTraceServiceResponse { partial_success: Some(partial) }))
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.logs.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

impl Collector {
    async fn serve(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let gzip = CompressionEncoding::Gzip;
        let server = Server::builder()
            .add_service(MetricsServiceServer::new(self.clone()).accept_compressed(gzip))
            .add_service(TraceServiceServer::new(self.clone()).accept_compressed(gzip))
            .add_service(LogsServiceServer::new(self.clone()).accept_compressed(gzip))
            .serve(address);
        tokio::spawn(server);
        address
    }

    fn spans(&self) -> Vec<Span> {
        spans(&self.traces.lock().unwrap())
    }
}

fn spans(requests: &[ExportTraceServiceRequest]) -> Vec<Span> {
    let resources = requests.iter().flat_map(|request| &request.resource_spans);
    resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
}

/// The configuration that these variables make.
fn configured(variables: &[(&str, String)]) -> config::Otlp {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Config::load_from(None, variables, Overrides::default()).unwrap().export.otlp
}

struct Sent {
    telemetry: Arc<Telemetry>,
    otlp: Arc<Otlp>,
    stop: watch::Sender<bool>,
    running: tokio::task::JoinHandle<()>,
}

/// Lets an agent with three processes live and end, and sends that.
fn send(mut config: config::Otlp) -> Sent {
    config.interval = Duration::from_millis(200);
    let begin = Timestamp::now();
    let mut agent = agent(begin);
    let (metrics, telemetry) = metrics(&agent);
    let otlp = Otlp::open(&config, &HostInfo::read(), metrics, &telemetry).unwrap().unwrap();
    let (stop, stopped) = watch::channel(false);
    let store = Arc::new(Memory::new(Limits::default(), Arc::clone(&telemetry)));
    let running = tokio::spawn(Arc::clone(&otlp).run(store, stopped));
    let later = begin + Duration::from_secs(2);
    otlp.follow(&Record::Agent(agent.clone()));
    let tell = |process: Process| otlp.follow(&Record::Process(agent.id.clone(), process));
    tell(process(4711, None, begin));
    tell(process(4712, Some(4711), begin));
    let exits = [(4712, Some(4711), Exit::Code(3)), (4713, Some(4712), Exit::Code(0))];
    for (pid, parent, exit) in exits {
        tell(Process { ended: Some(later), exit: Some(exit), ..process(pid, parent, begin) });
    }
    agent.ended = Some((later, AgentEnd::Detached));
    otlp.follow(&Record::Agent(agent));
    telemetry.losses.add(Loss::NamesLate, 3);
    Sent { telemetry, otlp, stop, running }
}

/// What every receiver must have got.
fn check_spans(spans: &[Span]) {
    assert_eq!(spans.len(), 4);
    let of = |name: &str, n: usize| spans.iter().filter(|span| span.name == name).nth(n).unwrap();
    let root = of("agent worker", 0);
    assert!(root.parent_span_id.is_empty() && root.trace_id.len() == 16 && root.span_id.len() == 8);
    assert!(spans.iter().all(|span| span.trace_id == root.trace_id));
    let pid = |span: &Span| {
        let attribute = span.attributes.iter().find(|attribute| attribute.key == "process.pid").unwrap();
        match attribute.value.as_ref().unwrap().value {
            Some(Value::IntValue(pid)) => pid,
            _ => panic!("{attribute:?}"),
        }
    };
    let process =
        |wanted: i64| spans.iter().find(|span| span.name == "python3" && pid(span) == wanted).unwrap();
    assert_eq!(process(4711).parent_span_id, root.span_id);
    assert_eq!(process(4712).parent_span_id, process(4711).span_id);
    assert_eq!(process(4713).parent_span_id, process(4712).span_id);
    assert_eq!(process(4712).status.as_ref().unwrap().message, "exit code 3");
    assert!(process(4713).status.is_none());
    assert_eq!(process(4712).end_time_unix_nano - process(4712).start_time_unix_nano, 2_000_000_000);
}

fn check_metrics(requests: &[ExportMetricsServiceRequest]) {
    let metrics = requests[0].resource_metrics[0].scope_metrics.iter().flat_map(|scope| &scope.metrics);
    let metrics: Vec<_> = metrics.collect();
    let named = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap();
    let Some(Data::Gauge(up)) = &named("agentperf_agent_up").data else { panic!("a gauge") };
    assert_eq!(up.data_points[0].value, Some(number_data_point::Value::AsDouble(1.0)));
    assert!(up.data_points[0].attributes.iter().any(|attribute| attribute.key == "agent_id"));
    let cpu = named("agentperf_own_cpu");
    let Some(Data::Sum(sum)) = &cpu.data else { panic!("a sum") };
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2 && cpu.unit == "s");
    assert!(sum.data_points[0].start_time_unix_nano > 0);
    let resource = requests[0].resource_metrics[0].resource.as_ref().unwrap();
    assert!(resource.attributes.iter().any(|attribute| attribute.key == "service.name"));
}

#[tokio::test]
async fn everything_comes_by_grpc_also_after_a_refusal() {
    let collector = Collector::default();
    collector.refusals.lock().unwrap().extend([Code::Unavailable, Code::ResourceExhausted]);
    let address = collector.serve().await;
    let sent = send(configured(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cr3t-of-a-test".to_owned()),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()),
        ("OTEL_SERVICE_NAME", "perf".to_owned()),
    ]));
    until(&sent.telemetry, |doors| doors.iter().all(|door| door.sent > 0) && doors.len() == 3).await;
    until(&sent.telemetry, |_| !collector.logs.lock().unwrap().is_empty()).await;
    sent.stop.send(true).unwrap();
    sent.running.await.unwrap();
    check_spans(&collector.spans());
    check_metrics(&collector.metrics.lock().unwrap());
    let logs = collector.logs.lock().unwrap();
    let records = logs.iter().flat_map(|request| &request.resource_logs[0].scope_logs[0].log_records);
    let names: Vec<&str> = records.map(|record| record.event_name.as_str()).collect();
    assert!(
        names.contains(&"agentperf.agent.started") && names.contains(&"agentperf.agent.ended"),
        "{names:?}"
    );
    assert!(collector.keys.lock().unwrap().iter().all(|key| key == "s3cr3t-of-a-test"));
    let doors = sent.telemetry.exporters();
    let traces = doors.iter().find(|door| door.name == "otlp_traces").unwrap();
    assert_eq!((traces.sent, traces.dropped), (3, 1), "the receiver says that it left one out");
    assert!(!format!("{doors:?}{:?}", sent.otlp).contains("s3cr3t"), "{doors:?}");
}

#[tokio::test]
async fn everything_comes_by_http_to_the_paths_of_the_protocol() {
    let receiver = Receiver::start([]).await;
    let mut config = config::Otlp::default();
    config.target.protocol = OtlpProtocol::Http;
    config.target.receiver.url = Some(receiver.url("/prefix/"));
    let sent = send(config);
    until(&sent.telemetry, |doors| doors.iter().all(|door| door.sent > 0)).await;
    sent.stop.send(true).unwrap();
    sent.running.await.unwrap();
    let got = |path: &str| {
        let of = receiver.got().into_iter().filter(|got| got.uri.path() == path);
        of.inspect(|got| assert_eq!(got.headers["content-type"], "application/x-protobuf"))
            .map(|got| got.body)
            .collect::<Vec<_>>()
    };
    let traces =
        got("/prefix/v1/traces").into_iter().map(|body| ExportTraceServiceRequest::decode(body).unwrap());
    check_spans(&spans(&traces.collect::<Vec<_>>()));
    let metrics =
        got("/prefix/v1/metrics").into_iter().map(|body| ExportMetricsServiceRequest::decode(body).unwrap());
    check_metrics(&metrics.collect::<Vec<_>>());
    assert!(!got("/prefix/v1/logs").is_empty());
}

#[tokio::test]
async fn a_receiver_that_is_away_holds_up_nobody() {
    let mut config = config::Otlp::default();
    // Nobody listens there.
    config.target.receiver.url = Some("http://127.0.0.1:9".to_owned());
    let sent = send(config);
    let begin = Timestamp::now();
    let agent = agent(begin);
    sent.otlp.follow(&Record::Agent(agent.clone()));
    for pid in 10_001..=30_000 {
        let ended = Process { ended: Some(begin), exit: Some(Exit::Code(0)), ..process(pid, None, begin) };
        sent.otlp.follow(&Record::Process(agent.id.clone(), ended));
    }
    until(&sent.telemetry, |doors| doors.iter().any(|door| door.failed > 0)).await;
    sent.stop.send(true).unwrap();
    sent.running.await.unwrap();
    let doors = sent.telemetry.exporters();
    let traces = doors.iter().find(|door| door.name == "otlp_traces").unwrap();
    assert_eq!(traces.sent, 0);
    assert_eq!(traces.dropped + traces.queued, 20_000 + 4, "nothing is lost untold");
    assert!(traces.queued <= 8192);
}
