//! Workers: processes that a runtime starts by executing itself, to do a part of its parent's work. Told by their command
//! line, before it is redacted.
//!
//! Limit: Node's `fork()` leaves no trace there; its workers look like any script.

/// What Python's multiprocessing and joblib are started by: as the code after `-c`, and as the module after `-m`.
const CODE: [&[u8]; 2] = [b"from multiprocessing.", b"from joblib.externals.loky."];
const MODULES: [&[u8]; 2] = [b"joblib.externals.loky.", b"multiprocessing."];
/// What says it outright.
const FLAGS: [&[u8]; 1] = [b"--multiprocessing-fork"];

/// Whether this command line, NUL-separated, is a worker's.
pub(super) fn is_worker(line: &[u8]) -> bool {
    let args = || line.split(|byte| *byte == 0);
    args().zip(args().skip(1)).any(|(flag, value)| {
        let begins = |with: &[&[u8]]| with.iter().any(|start| value.starts_with(start));
        FLAGS.contains(&value) || flag == b"-c" && begins(&CODE) || flag == b"-m" && begins(&MODULES)
    })
}

#[cfg(test)]
mod tests {
    use super::is_worker;

    #[test]
    fn workers_are_told_from_scripts() {
        for (line, worker) in [
            (
                "python3\0-c\0from multiprocessing.spawn import spawn_main; spawn_main()\0--multiprocessing-fork\0",
                true,
            ),
            ("python3\0-B\0-c\0from multiprocessing.resource_tracker import main;main(5)\0", true),
            ("python3\0-m\0joblib.externals.loky.backend.popen_loky_posix\0--pipe\x0015\0", true),
            ("python3\0-c\0import multiprocessing\0", false),
            ("python3\0x.py\0from multiprocessing.spawn\0", false),
            ("", false),
        ] {
            assert_eq!(is_worker(line.as_bytes()), worker, "{line:?}");
        }
    }
}
