//! Who a process is, read from /proc: what rules look at.
//!
//! A process may vanish between two reads, rename itself and write what it likes into its own command
//! line, so every read is bounded, every text lossily decoded, and nothing here is a proof of anything: rules
//! find agents, they guard nothing. The command line may hold secrets; it is kept for matching only, and
//! neither `Debug` nor any accessor outside this stage shows it.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::users::user_name;
use crate::model::interpreter::{Interpreter, TargetKind};

/// The most of a command line that rules look at, bytes.
const MAX_COMMAND_LINE_BYTES: u64 = 16 * 1024;

/// The most of any other file that is read, bytes.
const MAX_FILE_BYTES: u64 = 8 * 1024;

/// What is known of a process.
#[derive(Clone, Default)]
pub struct ProcessFacts {
    /// Its pid.
    pub pid: u32,
    /// Path of its executable, in its own mount namespace; `None` for kernel threads and where it is hidden.
    pub executable: Option<String>,
    /// What it runs, if its executable is an interpreter: the path of a script, or the name of a module.
    pub script: Option<String>,
    /// The kernel's 15-byte name for it.
    pub comm: String,
    /// Path of its cgroup (of the unified hierarchy, else of systemd's).
    pub cgroup: Option<String>,
    /// Its systemd unit, system or user: the innermost service or scope of its cgroup.
    pub systemd_unit: Option<String>,
    /// The id of its container: 64 hexadecimal digits in its cgroup.
    pub container: Option<String>,
    /// Effective user id.
    pub uid: Option<u32>,
    /// That user's name.
    pub user: Option<Arc<str>>,
    /// Its working directory.
    pub directory: Option<String>,
    /// Its arguments joined by blanks.
    pub(super) command_line: String,
}

impl ProcessFacts {
    /// Reads what is known of process `pid`.
    ///
    /// # Errors
    /// The process does not exist (any more), or /proc is not readable.
    pub fn read(pid: u32) -> io::Result<Self> {
        Self::read_at(&Path::new("/proc").join(pid.to_string()), pid)
    }

    fn read_at(proc: &Path, pid: u32) -> io::Result<Self> {
        // Every process has a comm: where it cannot be read, there is no process.
        let comm = read_text(&proc.join("comm"), MAX_FILE_BYTES)?.trim_end_matches('\n').to_owned();
        let executable = link(&proc.join("exe"));
        let args = arguments(&read_text(&proc.join("cmdline"), MAX_COMMAND_LINE_BYTES).unwrap_or_default());
        let cgroup = read_text(&proc.join("cgroup"), MAX_FILE_BYTES).ok().and_then(|t| cgroup(&t));
        let uid = read_text(&proc.join("status"), MAX_FILE_BYTES).ok().and_then(|t| effective_uid(&t));
        Ok(Self {
            pid,
            script: script(executable.as_deref(), &args),
            systemd_unit: cgroup.as_deref().and_then(systemd_unit),
            container: cgroup.as_deref().and_then(container),
            user: uid.and_then(user_name),
            directory: link(&proc.join("cwd")),
            command_line: args.join(" "),
            executable,
            comm,
            cgroup,
            uid,
        })
    }

    /// File name of the script or module it runs, else of its executable, else its comm.
    #[must_use]
    pub fn program(&self) -> &str {
        let path = self.script.as_deref().or(self.executable.as_deref()).unwrap_or(&self.comm);
        path.rsplit('/').next().unwrap_or(path)
    }
}

impl fmt::Debug for ProcessFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessFacts")
            .field("pid", &self.pid)
            .field("executable", &self.executable)
            .field("script", &self.script)
            .field("comm", &self.comm)
            .field("cgroup", &self.cgroup)
            .field("uid", &self.uid)
            .finish_non_exhaustive()
    }
}

fn read_text(path: &PathBuf, limit: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn link(path: &Path) -> Option<String> {
    let target = std::fs::read_link(path).ok()?.into_os_string().to_string_lossy().into_owned();
    Some(target.strip_suffix(" (deleted)").map_or(target.clone(), str::to_owned))
}

fn arguments(text: &str) -> Vec<String> {
    let text = text.trim_end_matches('\0');
    if text.is_empty() { Vec::new() } else { text.split('\0').map(str::to_owned).collect() }
}

/// What an interpreter runs. Where the executable is one, but the first argument names another program,
/// the process has put its own title there (as Node programs do) or was started under another name
/// (`exec -a`): that name is what it runs.
pub(super) fn script(executable: Option<&str>, args: &[String]) -> Option<String> {
    let first = args.first()?;
    if let Some(interpreter) = Interpreter::of(first) {
        let target = interpreter.target(args)?;
        return (target.kind != TargetKind::Code).then(|| target.text.to_owned());
    }
    Interpreter::of(executable?)?;
    first.split_whitespace().next().map(str::to_owned)
}

/// The path in the unified hierarchy (`0::/PATH`); where that is unused, in systemd's own (version 1).
fn cgroup(text: &str) -> Option<String> {
    let mut best = None;
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(id), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let unified = id == "0" && controllers.is_empty();
        if (unified && path != "/") || (controllers == "name=systemd" && best.is_none()) {
            best = Some(path);
        } else if unified {
            best = best.or(Some(path));
        }
    }
    best.map(str::to_owned)
}

/// The innermost part of a cgroup's path that is a unit which holds processes.
fn systemd_unit(cgroup: &str) -> Option<String> {
    let unit = |part: &&str| part.ends_with(".service") || part.ends_with(".scope");
    cgroup.rsplit('/').find(unit).map(str::to_owned)
}

/// The innermost 64 hexadecimal digits, as Docker, containerd, CRI-O and Podman name their cgroups.
fn container(cgroup: &str) -> Option<String> {
    let parts = cgroup.rsplit('/').flat_map(|part| part.rsplit(['-', '.', ':']));
    let id = |part: &&str| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit());
    parts.into_iter().find(id).map(str::to_owned)
}

fn effective_uid(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|l| l.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::{ProcessFacts, cgroup, container, effective_uid, script, systemd_unit};

    #[test]
    fn a_process_is_known_while_it_lives() {
        let mut child =
            Command::new("sleep").arg("60").current_dir("/tmp").stdin(Stdio::null()).spawn().unwrap();
        // Until exec is through, the child still looks like this test.
        let facts = (0..200)
            .find_map(|_| {
                std::thread::sleep(std::time::Duration::from_millis(5));
                ProcessFacts::read(child.id()).ok().filter(|f| f.comm == "sleep")
            })
            .unwrap();
        assert!(facts.executable.as_deref().is_some_and(|e| e.starts_with('/')), "{facts:?}");
        assert_eq!((facts.command_line.as_str(), facts.directory.as_deref()), ("sleep 60", Some("/tmp")));
        assert!(facts.uid.is_some() && facts.cgroup.is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(ProcessFacts::read(child.id()).is_err());
    }

    #[test]
    fn kernel_threads_have_no_executable() {
        if let Ok(facts) = ProcessFacts::read(2) {
            assert_eq!((facts.executable.clone(), facts.script.clone()), (None, None), "{facts:?}");
        }
    }

    #[test]
    fn debug_shows_no_command_line() {
        let facts = ProcessFacts { command_line: "x --token hunter2".to_owned(), ..ProcessFacts::default() };
        assert!(!format!("{facts:?}").contains("hunter2"));
    }

    #[test]
    fn cgroups_of_both_versions_are_read() {
        assert_eq!(cgroup("0::/user.slice/a.scope\n").as_deref(), Some("/user.slice/a.scope"));
        assert_eq!(cgroup("9:name=systemd:/a.service\n4:memory:/b\n0::/\n").as_deref(), Some("/a.service"));
        assert_eq!(cgroup("0::/a:b:c\n").as_deref(), Some("/a:b:c"));
        assert_eq!(cgroup("nonsense"), None);
    }

    #[test]
    fn units_and_containers_are_found_in_cgroups() {
        let id = "0123456789abcdef".repeat(4);
        for (path, unit, is_container) in [
            ("/system.slice/ollama.service".to_owned(), Some("ollama.service"), false),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope".to_owned(),
                Some("app-x.scope"),
                false,
            ),
            ("/system.slice/ollama.service/worker".to_owned(), Some("ollama.service"), false),
            (format!("/system.slice/docker-{id}.scope"), Some("docker-0123"), true),
            (format!("/kubepods.slice/x.slice/cri-containerd-{id}.scope"), Some("cri-containerd-0123"), true),
            (format!("/docker/{id}/init"), None, true),
            (format!("/kubepods/burstable/pod1/{id}"), None, true),
            ("/".to_owned(), None, false),
        ] {
            let found = systemd_unit(&path);
            assert_eq!(found.is_some(), unit.is_some(), "{path}");
            assert!(found.unwrap_or_default().starts_with(unit.unwrap_or_default()), "{path}");
            assert_eq!(container(&path), is_container.then(|| id.clone()), "{path}");
        }
    }

    #[test]
    fn scripts_are_seen_through_interpreters_and_titles() {
        for (executable, args, expected) in [
            ("/usr/bin/node", "node /usr/bin/claude -p x", Some("/usr/bin/claude")),
            ("/usr/bin/node", "claude", Some("claude")),
            (
                "/home/u/.local/share/cursor-agent/versions/1/node",
                "/home/u/.local/bin/agent --x",
                Some("/home/u/.local/bin/agent"),
            ),
            (
                "/usr/bin/python3.11",
                "python3 -m vllm.entrypoints.openai.api_server",
                Some("vllm.entrypoints.openai.api_server"),
            ),
            ("/usr/bin/python3.11", "python3 -c code", None),
            ("/usr/bin/codex", "codex exec", None),
            ("/usr/bin/node", "", None),
        ] {
            let args: Vec<String> = args.split(' ').filter(|a| !a.is_empty()).map(str::to_owned).collect();
            assert_eq!(script(Some(executable), &args).as_deref(), expected, "{executable} {args:?}");
        }
    }

    #[test]
    fn the_effective_user_counts() {
        assert_eq!(effective_uid("Name:\tx\nUid:\t1000\t0\t1000\t0\n"), Some(0));
        assert_eq!(effective_uid("Uid:\n"), None);
    }
}
