//! Public packages that tests run: from PyPI and npm, in the versions that a file beside their workloads names.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use super::{binary::target_directory, workload::source};

/// One at a time.
static INSTALLING: Mutex<()> = Mutex::new(());

/// A virtual environment with what `requirements`, a file of the workloads, names.
pub(crate) fn python(name: &str, requirements: &str) -> PathBuf {
    let folder = target_directory().join("venv").join(name);
    installed(&folder, &source(requirements), |wanted| {
        run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&folder));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
        run(Command::new(folder.join("bin/python")).args(pip).arg(wanted));
    });
    folder
}

/// A folder with what `lock`, a lock file of the workloads, names.
pub(crate) fn node(name: &str, lock: &str) -> PathBuf {
    let folder = target_directory().join("venv").join(name);
    installed(&folder, &source(lock), |wanted| {
        fs::create_dir_all(&folder).unwrap();
        for file in [wanted, &wanted.with_file_name("package.json")] {
            fs::copy(file, folder.join(file.file_name().unwrap())).unwrap();
        }
        run(Command::new("npm").current_dir(&folder).args(["ci", "--silent", "--no-audit", "--no-fund"]));
    });
    folder
}

/// Has a folder filled, unless it holds what is wanted already.
fn installed(folder: &Path, wanted: &Path, install: impl FnOnce(&Path)) {
    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(|e| e.into_inner());
    let (note, list) = (folder.join("installed.txt"), fs::read(wanted).unwrap());
    if fs::read(&note).is_ok_and(|installed| installed == list) {
        return;
    }
    install(wanted);
    fs::write(note, list).unwrap();
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}
