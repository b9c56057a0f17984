//! Which profile a person wants, in which form, and where to.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use super::{
    client::{Client, Range},
    error::CliError,
    out,
};
use crate::{
    api::dto::agent::AgentDto,
    model::probe::{Probe, ProbeSet},
};

/// What a profile weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// CPU time, by samples
    #[value(name = "cpu")]
    Cpu,
    /// Time off the CPU, by waits
    #[value(name = "off_cpu", alias = "off-cpu")]
    OffCpu,
    /// Syscall statistics (no stacks: JSON only)
    #[value(name = "syscalls")]
    Syscalls,
}

/// How a profile is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Flame graph
    Svg,
    /// For go tool pprof, Pyroscope, Parca
    Pprof,
    /// A line a stack
    Folded,
    /// For speedscope
    Speedscope,
    /// As the API describes it
    Json,
}

/// The flags that choose a profile.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct ProfileArgs {
    /// What the profile weighs
    #[arg(long = "type", value_enum, default_value = "cpu", value_name = "TYPE")]
    kind: Kind,
    /// How the profile is written [default: by the name of --output, else pprof]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Where the profile is written; - is standard output, as is --format without --output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What to watch by, separated by commas [default: all that the host allows]
    #[arg(long, value_delimiter = ',', value_name = "PROBES", value_parser = probe_parser())]
    probes: Option<Vec<Probe>>,
}

fn probe_parser() -> impl clap::builder::TypedValueParser<Value = Probe> {
    use clap::builder::TypedValueParser;
    clap::builder::PossibleValuesParser::new(Probe::ALL.map(Probe::name)).try_map(|name| {
        Probe::ALL.into_iter().find(|p| p.name() == name).ok_or_else(|| "no such probe".to_owned())
    })
}

/// A profile that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    kind: Kind,
    format: Format,
    /// The file; `None` for standard output.
    output: Option<PathBuf>,
}

impl ProfileArgs {
    /// What to watch by; whatever the host allows if `None`.
    pub(super) fn probes(&self) -> Option<ProbeSet> {
        self.probes.as_ref().map(|list| list.iter().copied().collect())
    }

    /// The profile that is wanted, if one is.
    pub(super) fn wanted(&self) -> Result<Option<Wanted>, CliError> {
        if self.format.is_none() && self.output.is_none() {
            return Ok(None);
        }
        let output = self.output.clone().filter(|o| o != Path::new("-"));
        let by_name = || output.as_deref().map_or(Format::Pprof, by_name);
        let format = match self.kind {
            Kind::Syscalls => self.format.unwrap_or(Format::Json),
            Kind::Cpu | Kind::OffCpu => self.format.unwrap_or_else(by_name),
        };
        self.check(format, output.is_none())?;
        Ok(Some(Wanted { kind: self.kind, format, output }))
    }

    fn check(&self, format: Format, to_stdout: bool) -> Result<(), CliError> {
        let usage = |text: &str| Err(CliError::Usage(text.to_owned()));
        if self.kind == Kind::Syscalls && format != Format::Json {
            return usage("syscalls have no stacks: write them with --format json");
        }
        if self.probes().is_some_and(|probes| !probes.contains(self.kind.probe())) {
            let name = self.kind.probe().name();
            return Err(CliError::Usage(format!("--type {name} needs the probe {name}: add it to --probes")));
        }
        if format == Format::Pprof && to_stdout && std::io::stdout().is_terminal() {
            return usage("a pprof profile is binary: give --output FILE, or send standard output elsewhere");
        }
        Ok(())
    }
}

impl Kind {
    fn probe(self) -> Probe {
        match self {
            Self::Cpu => Probe::Cpu,
            Self::OffCpu => Probe::OffCpu,
            Self::Syscalls => Probe::Syscalls,
        }
    }
}

/// The format that a file's name asks for.
fn by_name(path: &Path) -> Format {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    match name.rsplit('.').next().unwrap_or_default() {
        "svg" => Format::Svg,
        "folded" | "txt" | "collapsed" => Format::Folded,
        "json" if name.contains("speedscope") => Format::Speedscope,
        "json" => Format::Json,
        _ => Format::Pprof,
    }
}

impl Wanted {
    /// Whether it goes to standard output.
    pub(super) fn to_stdout(&self) -> bool {
        self.output.is_none()
    }

    /// Fails now rather than after the work if the file cannot be written.
    pub(super) fn prepare(&self) -> Result<(), CliError> {
        let Some(path) = &self.output else { return Ok(()) };
        let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
        opened.map(drop).map_err(|source| CliError::Write { path: path.clone(), source })
    }

    /// Fails now rather than after the work if the agent is not watched by what the profile weighs.
    pub(super) fn require(&self, agent: &AgentDto) -> Result<(), CliError> {
        let probe = self.kind.probe();
        if agent.probes.iter().any(|p| Probe::from(*p) == probe) {
            return Ok(());
        }
        let name = probe.name();
        Err(CliError::Usage(format!(
            "{} is not watched by {name}, so there is no such profile; `agentperf check` says what this host allows",
            out::plain(&agent.name)
        )))
    }

    /// Fetches the profile and writes it.
    pub(super) fn write(&self, client: &Client, id: &str, range: Range) -> Result<(), CliError> {
        let bytes = match self.kind {
            Kind::Syscalls => out::json(&client.syscalls(id, range)?)?.into_bytes(),
            Kind::Cpu => client.profile(id, range, "cpu", self.format.name())?,
            Kind::OffCpu => client.profile(id, range, "off_cpu", self.format.name())?,
        };
        match &self.output {
            None => out::write(&bytes),
            Some(path) => {
                std::fs::write(path, bytes).map_err(|source| CliError::Write { path: path.clone(), source })
            }
        }
    }
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Pprof => "pprof",
            Self::Folded => "folded",
            Self::Speedscope => "speedscope",
            Self::Json => "json",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Format, Kind, ProfileArgs, Wanted, by_name};
    use crate::model::probe::Probe;

    fn args(kind: Kind, format: Option<Format>, output: Option<&str>) -> ProfileArgs {
        ProfileArgs { kind, format, output: output.map(PathBuf::from), probes: None }
    }

    #[test]
    fn names_of_files_choose_the_format() {
        for (name, format) in [
            ("a.svg", Format::Svg),
            ("a.pb.gz", Format::Pprof),
            ("a.FOLDED", Format::Folded),
            ("a.speedscope.json", Format::Speedscope),
            ("a.json", Format::Json),
            ("a", Format::Pprof),
        ] {
            assert_eq!(by_name(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn what_is_wanted_follows_from_the_flags() {
        assert_eq!(args(Kind::Cpu, None, None).wanted().unwrap(), None);
        let wanted = args(Kind::OffCpu, Some(Format::Folded), Some("-")).wanted().unwrap().unwrap();
        assert_eq!(wanted, Wanted { kind: Kind::OffCpu, format: Format::Folded, output: None });
        let wanted = args(Kind::Syscalls, None, Some("x.svg")).wanted().unwrap().unwrap();
        assert_eq!(wanted.format, Format::Json);
        assert!(args(Kind::Syscalls, Some(Format::Svg), None).wanted().is_err());
        let without = ProfileArgs { probes: Some(vec![Probe::Cpu]), ..args(Kind::OffCpu, None, Some("x")) };
        assert!(without.wanted().unwrap_err().to_string().contains("--probes"));
    }
}
