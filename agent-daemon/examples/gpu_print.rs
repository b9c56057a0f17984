//! Prints what this host's GPUs say, as JSON, one reading per line: to see on real hardware what a stand-in cannot
//! show. `cargo run --example gpu_print [READINGS [SECONDS [LIBRARY]]]`, 2 readings 2 s apart by default.
#![expect(clippy::print_stdout, reason = "printing is all it does")]

use std::{env, path::PathBuf, thread::sleep, time::Duration};

use agentperf::gpu::{
    Availability, Gpu, GpuProcess, GpuReading, Gpus, Mig, Settings, Shares, Utilisation, shares,
};
use serde_json::{Value, json};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number = |index: usize| arguments.get(index).and_then(|argument| argument.parse().ok()).unwrap_or(2);
    let mut settings = Settings::default();
    if let Some(library) = arguments.get(2) {
        settings.library = PathBuf::from(library);
    }
    let mut gpus = Gpus::start(settings)?;
    for _ in 0..number(0) {
        println!("{}", reading(&gpus.read(Duration::from_secs(10))));
        sleep(Duration::from_secs(number(1)));
    }
    eprintln!("let go: {}", gpus.stop(Duration::from_secs(2)));
    Ok(())
}

fn reading(reading: &GpuReading) -> Value {
    json!({
        "at": reading.at.to_string(),
        "availability": availability(&reading.availability),
        "gpus": reading.gpus.iter().map(gpu).collect::<Vec<_>>(),
        "xids": reading.xids.iter().map(|xid| json!({
            "at": xid.at.to_string(), "gpu": xid.gpu, "number": xid.number, "meaning": xid.meaning(),
        })).collect::<Vec<_>>(),
        "xids_lost": reading.xids_lost,
        "xids_missing": reading.xids_missing.iter().map(|(gpu, reason)| json!({
            "gpu": gpu, "reason": reason.to_string(),
        })).collect::<Vec<_>>(),
    })
}

fn availability(availability: &Availability) -> Value {
    match availability {
        Availability::Running { driver, library } => {
            json!({"running": {"driver": driver, "library": library}})
        }
        Availability::Unavailable { reason, since, retry_in } => json!({"unavailable": {
            "reason": reason.to_string(),
            "since_seconds": since.as_secs_f64(),
            "retry_in_seconds": retry_in.as_secs_f64(),
        }}),
        Availability::Stuck { feature, gpu, elapsed } => json!({"stuck": {
            "function": feature.map(|feature| feature.function()),
            "gpu": gpu,
            "seconds": elapsed.as_secs_f64(),
        }}),
    }
}

fn gpu(gpu: &Gpu) -> Value {
    json!({
        "index": gpu.index,
        "uuid": gpu.uuid,
        "name": gpu.name,
        "down": gpu.down.as_ref().map(ToString::to_string),
        "interval_seconds": gpu.interval.map(|interval| interval.as_secs_f64()),
        "utilisation": gpu.utilisation.map(utilisation),
        "memory": gpu.memory.map(|memory| json!({"used": memory.used_bytes, "total": memory.total_bytes})),
        "power_watts": gpu.power_watts,
        "power_limit_watts": gpu.power_limit_watts,
        "energy": gpu.energy.map(|energy| json!({
            "joules": energy.joules, "source": format!("{:?}", energy.source),
        })),
        "temperature_celsius": gpu.temperature_celsius,
        "clocks": format!("{:?}", gpu.clocks),
        "throttle_reasons": gpu.throttle_reasons,
        "ecc": format!("{:?} {:?}", gpu.ecc_corrected, gpu.ecc_uncorrected),
        "pcie": format!("{:?}", gpu.pcie),
        "nvlink": format!("{:?}", gpu.nvlink),
        "encoder_percent": gpu.encoder_percent,
        "decoder_percent": gpu.decoder_percent,
        "mig": gpu.mig.as_ref().map(mig),
        "processes": gpu.processes.iter().flatten().map(process).collect::<Vec<_>>(),
        "shares": shares(gpu).as_ref().map(divided),
        "missing": gpu.missing.iter().map(|missing| json!({
            "feature": missing.feature.name(), "reason": missing.reason.to_string(),
        })).collect::<Vec<_>>(),
    })
}

fn utilisation(utilisation: Utilisation) -> Value {
    json!({
        "gpu_percent": utilisation.gpu_percent,
        "memory_percent": utilisation.memory_percent,
        "basis": format!("{:?}", utilisation.basis),
    })
}

fn mig(mig: &Mig) -> Value {
    json!({"is_enabled": mig.is_enabled, "instances": format!("{:?}", mig.instances)})
}

fn process(process: &GpuProcess) -> Value {
    json!({
        "host_pid": process.host_pid,
        "pid": process.pid,
        "is_compute": process.is_compute,
        "is_graphics": process.is_graphics,
        "memory_bytes": process.memory_bytes,
        "instance": process.instance,
        "utilisation": process.utilisation.map(|used| format!("{used:?}")),
    })
}

fn divided(shares: &Shares) -> Value {
    json!({
        "total": format!("{:?}", shares.total),
        "rest": format!("{:?}", shares.rest),
        "processes": shares.processes.iter().map(|share| format!("{share:?}")).collect::<Vec<_>>(),
    })
}
