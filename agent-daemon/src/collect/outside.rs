//! What leads out of an agent: the pipes and sockets that its root process was given as standard input, output and
//! error. Who reads there waits for a person or another program, not for one of the agent's own.

use std::fs;

/// Inode numbers of the pipes and sockets among the first three descriptors of `root`.
pub(super) fn inodes(root: u32) -> Vec<u64> {
    let links = (0..3).filter_map(|descriptor| fs::read_link(format!("/proc/{root}/fd/{descriptor}")).ok());
    links.filter_map(|link| link.to_str().and_then(inode)).collect()
}

/// The inode number in `pipe:[N]` or `socket:[N]`.
fn inode(link: &str) -> Option<u64> {
    let number = link.strip_prefix("pipe:[").or_else(|| link.strip_prefix("socket:["))?;
    number.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_and_sockets_are_told_and_nothing_else() {
        assert_eq!(inode("pipe:[4711]"), Some(4711));
        assert_eq!(inode("socket:[12]"), Some(12));
        for other in ["/dev/null", "pipe:[x]", "pipe:[1", "anon_inode:[eventfd]", ""] {
            assert_eq!(inode(other), None, "{other}");
        }
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        assert_eq!(inodes(child.id()).len(), 1);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(inodes(u32::MAX).is_empty());
    }
}
