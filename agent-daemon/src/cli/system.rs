//! `agentperf system`: the host, as the running daemon sees it.

mod gpu;

use serde::Serialize;

use super::{
    backend::DaemonArgs,
    error::CliError,
    out,
    table::{Align, Table},
    units,
};
use crate::api::dto::{
    system::{CpuTimeDto, FileSystemDto, PressureDto, SystemMetricsDto},
    system_info::{PlatformDto, SystemInfoDto},
};

/// Show the host: what kind it is, how busy its CPUs, disks, interfaces and GPUs are, and what room there is.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  agentperf system
  agentperf system --since 1h --cpus
  agentperf system --json | jq '.metrics.file_systems[]'

Exit codes: 0 shown; 1 no daemon answers; 2 bad usage.")]
pub(super) struct SystemArgs {
    /// How far back
    #[arg(long, value_name = "DURATION", default_value = "1m")]
    since: String,
    /// Each CPU by itself, too
    #[arg(long)]
    cpus: bool,
    /// Show as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

#[derive(Serialize)]
struct SystemDto {
    info: SystemInfoDto,
    metrics: SystemMetricsDto,
}

/// Shows.
pub(super) fn run(args: &SystemArgs) -> Result<(), CliError> {
    let client = args.daemon.client()?;
    let info = client.system_info()?;
    let metrics = client.system_metrics(&[("since", args.since.clone())])?;
    if args.json {
        return out::print_json(&SystemDto { info, metrics });
    }
    out::print(&(kind_of(&info) + &metrics_of(&metrics, args.cpus)))
}

fn kind_of(info: &SystemInfoDto) -> String {
    let platform = match (info.platform, info.platform_name.as_deref()) {
        (PlatformDto::Physical, _) => String::new(),
        (PlatformDto::VirtualMachine, name) => format!(", a virtual machine{}", by(name)),
        (PlatformDto::Container, name) => format!(", a container{}", by(name)),
    };
    let system = info.operating_system.as_deref().unwrap_or("Linux");
    let cpu = info.cpu_model.as_deref().unwrap_or(&info.architecture);
    let up = info.uptime_seconds.map_or_else(String::new, |s| format!(", up {}", units::seconds(s)));
    let (host, kernel) = (out::plain(&info.hostname), out::plain(&info.kernel));
    let first = format!("{host}: {}, Linux {kernel}{platform}{up}", out::plain(system));
    let memory = units::bytes(info.memory_bytes);
    let gpus = gpu::kind_of(&info.gpu);
    format!("{first}\n{} CPUs ({}), {memory} of memory\n{gpus}", info.cpus, out::plain(cpu))
}

fn by(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!(" ({})", out::plain(name)))
}

fn metrics_of(metrics: &SystemMetricsDto, cpus: bool) -> String {
    let Some(covered) = &metrics.covered else {
        return "\nnothing is recorded of this time; the first window closes a few seconds after the start\n"
            .to_owned();
    };
    let mut text = format!("\nof {}:\n", units::seconds(covered.seconds));
    if let Some(activity) = &metrics.activity {
        text += &format!(
            "load       {:.2} {:.2} {:.2}; {} processes, {} running, {} waiting for disks\n",
            activity.load1,
            activity.load5,
            activity.load15,
            activity.processes,
            activity.running,
            activity.blocked
        );
    }
    if let Some(memory) = &metrics.memory {
        let used = memory.total_bytes.saturating_sub(memory.available_bytes);
        let swapped = memory.swap_total_bytes.saturating_sub(memory.swap_free_bytes);
        text += &format!(
            "memory     {} of {} used; swap {} of {}\n",
            units::bytes(used),
            units::bytes(memory.total_bytes),
            units::bytes(swapped),
            units::bytes(memory.swap_total_bytes)
        );
    }
    text += &metrics.pressure.map_or_else(
        || "pressure   the kernel does not tell\n".to_owned(),
        |pressure| pressure_of(&pressure, covered.seconds),
    );
    let [systems, disks, interfaces] = [file_systems(metrics), disks(metrics), interfaces(metrics)];
    let tables = [cpu_table(metrics, cpus), systems, disks, interfaces, gpu::table(&metrics.gpus)];
    tables.into_iter().flatten().fold(text, |text, table| text + "\n" + &table)
}

/// The shares of the time in which somebody stood still.
fn pressure_of(pressure: &PressureDto, seconds: f64) -> String {
    let share = |some: f64| units::percent(some, seconds);
    let (cpu, memory, io) = (pressure.cpu, pressure.memory, pressure.io);
    format!(
        "pressure   cpu {}, memory {}, io {} of the time\n",
        share(cpu.some_seconds),
        share(memory.some_seconds),
        share(io.some_seconds)
    )
}

fn cpu_table(metrics: &SystemMetricsDto, each: bool) -> Option<String> {
    let heads = ["CPU", "BUSY", "USER", "NICE", "SYSTEM", "IRQ", "IOWAIT", "STEAL", "IDLE"];
    let mut table = Table::new(&heads.map(|head| (head, Align::Right)));
    let all = metrics.cpu.as_ref()?;
    table.row(cpu_row("all".to_owned(), all));
    for cpu in metrics.cpus.iter().filter(|_| each) {
        table.row(cpu_row(cpu.cpu.to_string(), &cpu.time));
    }
    Some(table.render(""))
}

fn cpu_row(name: String, time: &CpuTimeDto) -> Vec<String> {
    let irq = time.irq_seconds + time.softirq_seconds;
    let work = time.user_seconds + time.nice_seconds + time.system_seconds + irq;
    let all = work + time.idle_seconds + time.iowait_seconds + time.steal_seconds;
    let parts = [
        work,
        time.user_seconds,
        time.nice_seconds,
        time.system_seconds,
        irq,
        time.iowait_seconds,
        time.steal_seconds,
        time.idle_seconds,
    ];
    std::iter::once(name).chain(parts.map(|part| units::percent(part, all))).collect()
}

fn file_systems(metrics: &SystemMetricsDto) -> Option<String> {
    let mut table = Table::new(&[
        ("FREE", Align::Right),
        ("SIZE", Align::Right),
        ("FULL", Align::Right),
        ("INODES", Align::Right),
        ("TYPE", Align::Left),
        ("MOUNTED AT", Align::Left),
    ]);
    metrics.file_systems.iter().for_each(|system| table.row(file_system(system)));
    (!metrics.file_systems.is_empty()).then(|| table.render(""))
}

fn file_system(system: &FileSystemDto) -> Vec<String> {
    let full = system.size_bytes.saturating_sub(system.available_bytes);
    let inodes = system.inodes.saturating_sub(system.inodes_free);
    let kind = if system.read_only { format!("{} (ro)", system.kind) } else { system.kind.clone() };
    vec![
        units::bytes(system.available_bytes),
        units::bytes(system.size_bytes),
        units::percent(full as f64, system.size_bytes as f64),
        units::percent(inodes as f64, system.inodes as f64),
        kind,
        system.mount.clone(),
    ]
}

fn disks(metrics: &SystemMetricsDto) -> Option<String> {
    let seconds = metrics.covered.as_ref()?.seconds;
    let mut table = Table::new(&[
        ("READS", Align::Right),
        ("READ", Align::Right),
        ("WRITES", Align::Right),
        ("WRITTEN", Align::Right),
        ("BUSY", Align::Right),
        ("DISK", Align::Left),
    ]);
    for disk in &metrics.disks {
        table.row(vec![
            disk.reads.to_string(),
            units::bytes(disk.read_bytes),
            disk.writes.to_string(),
            units::bytes(disk.written_bytes),
            units::percent(disk.busy_seconds, seconds),
            disk.name.clone(),
        ]);
    }
    (!metrics.disks.is_empty()).then(|| table.render(""))
}

fn interfaces(metrics: &SystemMetricsDto) -> Option<String> {
    let mut table = Table::new(&[
        ("RECEIVED", Align::Right),
        ("SENT", Align::Right),
        ("ERRORS", Align::Right),
        ("DROPPED", Align::Right),
        ("INTERFACE", Align::Left),
    ]);
    for interface in &metrics.interfaces {
        let (received, sent) = (&interface.received, &interface.sent);
        table.row(vec![
            units::bytes(received.bytes),
            units::bytes(sent.bytes),
            received.errors.saturating_add(sent.errors).to_string(),
            received.dropped.saturating_add(sent.dropped).to_string(),
            interface.name.clone(),
        ]);
    }
    (!metrics.interfaces.is_empty()).then(|| table.render(""))
}
