//! What reading plaintext costs who says it: a client and a server of TLS in one process, which call a model, and which say
//! something that is no HTTP and is dismissed.

use anyhow::Result;

use super::{
    Bench, Setting, contest,
    load::Load,
    peer,
    report::Report,
    watch::{
        Watch::{Agentperf, Nobody, Peer},
        Whom, contender,
    },
};

pub(super) const CALLS: Bench = Bench {
    name: "wire",
    about: "ns per request with 4 KB by TLS to a model (two SSL_write, two SSL_read), untraced, traced and bystander; peer agentsight",
    run: |setting| measure(&CALLS, setting, "model", 1_000),
};

pub(super) const DISMISSED: Bench = Bench {
    name: "wire-other",
    about: "the same of 4 KB by TLS that are no HTTP: dismissed, untraced, traced and bystander; peer agentsight",
    run: |setting| measure(&DISMISSED, setting, "other", 200_000),
};

fn measure(bench: &Bench, setting: &Setting, what: &str, times: u64) -> Result<Report> {
    let load = Load::build_with_openssl("tls", what, times)?;
    let contenders = [
        ("untraced", Nobody),
        ("untraced, again", Nobody),
        ("wire", Agentperf(Whom::Load, &["wire"])),
        ("wire and ledger", Agentperf(Whom::Load, &["wire", "ledger"])),
        ("wire, bystander", Agentperf(Whom::Neighbour, &["wire"])),
        ("agentsight", Peer(Whom::Load, peer::agentsight)),
        ("agentsight, bystander", Peer(Whom::Neighbour, peer::agentsight)),
    ];
    let contenders = contenders.map(|(name, watch)| contender(name, watch, &load, &setting.agentperf));
    let series = contest::hold(contenders.into(), setting.rounds)?;
    let measure = "ns per two SSL_write and two SSL_read";
    Ok(Report { name: bench.name, measure, series, has_baseline: true, claims: Vec::new() })
}
