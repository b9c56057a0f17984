//! Whose privileges a recorded command runs with: those of who called sudo, not root's.

use std::{
    ffi::{CStr, CString, OsStr},
    io,
};

use super::error::CliError;

/// Whom to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// User id.
    pub(super) uid: u32,
    /// Group id.
    pub(super) gid: u32,
}

/// What is known of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    name: CString,
    home: String,
    shell: String,
}

impl Caller {
    /// Who called sudo, if this is root through sudo. What says so and cannot be read is refused: the command
    /// would run as root.
    pub(super) fn behind_sudo() -> Result<Option<Self>, CliError> {
        // SAFETY: geteuid has no preconditions and cannot fail.
        let root = unsafe { libc::geteuid() } == 0;
        let number = |name: &str| std::env::var_os(name).map(|value| id(name, &value)).transpose();
        match (number("SUDO_UID")?, number("SUDO_GID")?) {
            _ if !root => Ok(None),
            (None | Some(0), _) => Ok(None),
            (Some(uid), Some(gid)) => Ok(Some(Self { uid, gid })),
            (Some(_), None) => Err(CliError::Usage(
                "SUDO_UID is set and SUDO_GID is not: set both, or unset both to run the command as root"
                    .to_owned(),
            )),
        }
    }

    /// Becomes this user for good: groups, ids and the environment that goes with them. For a process that
    /// has one thread and is about to execute something.
    pub(super) fn become_caller(&self) -> io::Result<()> {
        let account = account(self.uid)?;
        let groups = match &account {
            // SAFETY: the name is NUL-terminated and lives through the call.
            Some(account) => unsafe { libc::initgroups(account.name.as_ptr(), self.gid) },
            // SAFETY: no group is read through the pointer, since the count is 0.
            None => unsafe { libc::setgroups(0, std::ptr::null()) },
        };
        check(groups)?;
        // SAFETY: plain system calls on integers; the group first, while there is the privilege to.
        check(unsafe { libc::setresgid(self.gid, self.gid, self.gid) })?;
        // SAFETY: as above.
        check(unsafe { libc::setresuid(self.uid, self.uid, self.uid) })?;
        if let Some(account) = account {
            account.adopt_environment();
        }
        Ok(())
    }
}

impl Account {
    fn adopt_environment(&self) {
        let name = self.name.to_string_lossy();
        let values = [("HOME", &*self.home), ("SHELL", &*self.shell), ("USER", &*name), ("LOGNAME", &*name)];
        for (key, value) in values {
            // SAFETY: the caller's contract: no other thread reads the environment.
            unsafe { std::env::set_var(key, value) };
        }
        for key in ["SUDO_UID", "SUDO_GID", "SUDO_USER", "SUDO_COMMAND", "SUDO_HOME", "MAIL"] {
            // SAFETY: as above.
            unsafe { std::env::remove_var(key) };
        }
    }
}

fn id(name: &str, value: &OsStr) -> Result<u32, CliError> {
    value.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        let shown = value.to_string_lossy();
        CliError::Usage(format!("{name} is {shown:?}, which is no id: unset it to run the command as root"))
    })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The account of a user id; `None` where the host knows no such user.
fn account(uid: u32) -> io::Result<Option<Account>> {
    let mut buffer: Vec<libc::c_char> = vec![0; 16 * 1024];
    // SAFETY: all-zero bytes are a valid passwd: null pointers and zero ids.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found: *mut libc::passwd = std::ptr::null_mut();
    // SAFETY: entry, buffer (with its true length) and found are valid for writes through the call.
    let error =
        unsafe { libc::getpwuid_r(uid, &raw mut entry, buffer.as_mut_ptr(), buffer.len(), &raw mut found) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    if found.is_null() {
        return Ok(None);
    }
    // SAFETY: on success each field points to a NUL-terminated string inside the buffer, which still lives.
    let (name, home, shell) = unsafe {
        (CStr::from_ptr(entry.pw_name), CStr::from_ptr(entry.pw_dir), CStr::from_ptr(entry.pw_shell))
    };
    let text = |value: &CStr| value.to_string_lossy().into_owned();
    Ok(Some(Account { name: name.to_owned(), home: text(home), shell: text(shell) }))
}

#[cfg(test)]
mod tests {
    use super::account;

    #[test]
    fn accounts_are_known_by_number() {
        let root = account(0).unwrap().unwrap();
        assert_eq!((root.name.to_str(), root.home.as_str()), (Ok("root"), "/root"));
        assert_eq!(account(u32::MAX - 9).unwrap(), None);
    }
}
