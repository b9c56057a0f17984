//! A disk without room: a small file system in memory, filled. Needs the privilege to mount; says so without.

use std::{
    ffi::CString,
    fs,
    path::{Path, PathBuf},
};

use super::{QUICK, close, open};
use crate::{
    model::{id::AgentId, time::TimeRange},
    store::{
        Store,
        fixture::{agent_at, at, cpu, window_at, windows},
    },
};

/// A small file system, unmounted when this goes.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(megabytes: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = CString::new(folder.path().to_str().unwrap()).unwrap();
        let options = CString::new(format!("size={megabytes}m")).unwrap();
        let (kind, flags) = (c"tmpfs".as_ptr(), 0);
        // SAFETY: every pointer is to a text that ends in NUL and outlives the call.
        let failed = unsafe { libc::mount(kind, path.as_ptr(), kind, flags, options.as_ptr().cast()) };
        (failed == 0).then(|| Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all room there is.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = fs::File::create(&path).unwrap();
        for size in [1 << 20, 4096, 1] {
            while std::io::Write::write_all(&mut file, &vec![1; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        if let Ok(path) = CString::new(self.path().to_str().unwrap_or_default()) {
            // SAFETY: the pointer is to a text that ends in NUL and outlives the call.
            unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        }
    }
}

/// The windows that are there if the store is killed now: in a copy of its files, elsewhere.
fn windows_after_a_kill(folder: &Path, agent: &AgentId) -> i64 {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let (crashed, _) = open(copy.path(), QUICK);
    let kept = windows(&crashed, agent, TimeRange::ALL).len() as i64;
    close(crashed);
    kept
}

#[test]
fn a_full_disk_loses_nothing_that_was_synced_and_writing_goes_on_with_room() {
    let Some(small) = Small::mount(8) else {
        println!("skipped: this needs the privilege to mount a file system");
        return;
    };
    let folder = small.path().join("store");
    let (store, telemetry) = open(&folder, QUICK);
    let agent = agent_at(at(0));
    let window = |n: i64| {
        let mut window = window_at(&agent.id, at(5 * n), 20);
        window.cpu = (0..200).map(|pid| cpu(pid, &["main"], n as u64 * 7919 + u64::from(pid))).collect();
        window
    };
    store.put_agent(agent.clone());
    let mut n = 0;
    let mut put = |count, seals| {
        let mut synced = true;
        for _ in 0..count {
            store.append(window(n));
            synced &= store.sync().is_ok();
            n += 1;
            if seals && n % 5 == 0 {
                store.maintain(at(5 * n));
            }
        }
        (synced, n)
    };
    let (synced, safe) = put(20, true);
    assert!(synced);
    let filler = small.fill();
    let (synced, _) = put(40, true);
    assert!(!synced, "it is said that nothing is durable");
    assert!(telemetry.losses.all()["store_write_failed"] > 0);
    let seen = windows(&store, &agent.id, TimeRange::ALL).len() as i64;
    assert_eq!(seen, 60, "readers see what waits");

    let kept = windows_after_a_kill(&folder, &agent.id);
    assert!(kept >= safe, "{kept} of {safe}");

    fs::remove_file(filler).unwrap();
    let _ = store.sync();
    store.maintain(at(1000));
    store.maintain(at(1001));
    store.maintain(at(1002));
    store.sync().unwrap();
    let (synced, all) = put(10, true);
    assert!(synced, "it works again by itself");
    assert_eq!(windows(&store, &agent.id, TimeRange::ALL).len() as i64, all);
    assert_eq!(telemetry.losses.all()["window_dropped"], 0);
    drop(store);
    let (store, _) = open(&folder, QUICK);
    assert_eq!(windows(&store, &agent.id, TimeRange::ALL).len() as i64, all);
    close(store);
}
