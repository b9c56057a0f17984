//! `cargo xtask setup`: installs what the machine lacks, and says what and why before it does.
//!
//! Every other verb calls [`ensure`] first. Where nothing is missing it is silent and takes a few
//! milliseconds: it looks at files, and asks no package manager. It uses rustup for Rust's parts, apt for
//! Debian's and Ubuntu's, and on another distribution prints what to install.

mod bpf_linker;
mod packages;
mod toolchain;

use std::fmt;

use anyhow::Result;

pub(crate) use self::packages::libbpf_tool;

/// What is about to be done, and so what is needed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To build the daemon and its kernel programs.
    Build,
    /// To run every test.
    Test,
    /// To measure against other tools.
    Bench,
    /// To run the kernel tests in virtual machines.
    Machines,
    /// To run real agents.
    Agents,
}

impl Purpose {
    /// Whether what `other` needs is needed for this, too.
    fn includes(self, other: Self) -> bool {
        match other {
            Self::Build => true,
            Self::Test => self != Self::Build,
            Self::Bench | Self::Machines | Self::Agents => self == other,
        }
    }
}

/// Installs what is missing, and says what and why
///
/// Every other verb does this by itself; alone it prepares a machine, or an image, ahead of time.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask setup                   what building and testing need
  cargo xtask setup --for bench       and the tools to measure against
  cargo xtask setup --for machines    and QEMU, for `cargo xtask vm`
  cargo xtask setup --for agents      and what `cargo xtask agents` needs")]
pub(crate) struct Args {
    /// What to prepare for
    #[arg(long = "for", value_name = "PURPOSE", value_enum, default_value = "test")]
    purpose: PurposeArg,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum PurposeArg {
    Build,
    Test,
    Bench,
    Machines,
    Agents,
}

/// The machine lacks something that xtask cannot install by itself: exit status 2.
#[derive(Debug)]
pub(crate) struct Unsupported(pub(crate) String);

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unsupported {}

pub(crate) fn main(args: &Args) -> Result<()> {
    ensure(match args.purpose {
        PurposeArg::Build => Purpose::Build,
        PurposeArg::Test => Purpose::Test,
        PurposeArg::Bench => Purpose::Bench,
        PurposeArg::Machines => Purpose::Machines,
        PurposeArg::Agents => Purpose::Agents,
    })?;
    println!("Everything is in place.");
    Ok(())
}

/// Installs what `purpose` needs and the machine lacks.
///
/// # Errors
/// [`Unsupported`] where a person has to install something; otherwise an installation failed.
pub(crate) fn ensure(purpose: Purpose) -> Result<()> {
    packages::ensure(purpose)?;
    if purpose.includes(Purpose::Test) {
        toolchain::ensure_stable_tools()?;
    }
    let nightly = toolchain::ensure_nightly()?;
    bpf_linker::ensure(&nightly)
}

/// Announces an installation: what, and why.
fn announce(what: &str, why: &str) {
    eprintln!("xtask: installing {what}: {why}");
}
