//! Finds, in the dynamic loader, the empty function that it calls whenever its list of libraries has changed: in glibc's
//! and in musl's, for debuggers. A probe there tells of libraries that are loaded late, when it is not too late yet.

use super::{code::CodeImage, finder::Offer};
use crate::kernel::{Site, UprobeProgram};

/// The function.
const CHANGED: &str = "_dl_debug_state";

pub(super) fn find(image: &CodeImage<'_>) -> Offer {
    let name = image.file_name();
    if !name.starts_with("ld-linux") && !name.starts_with("ld-musl") && !name.starts_with("ld-2.") {
        return Offer::Nothing;
    }
    match image.exports(|name| name == CHANGED).first() {
        Some(function) => Offer::Sites(vec![Site {
            program: UprobeProgram::LibraryLoaded,
            offset: function.offset,
            cookie: 0,
        }]),
        None => Offer::Blind(format!("it does not export {CHANGED}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn this_hosts_loader_tells_of_libraries() {
        let path = "/lib64/ld-linux-x86-64.so.2";
        let file = File::open(path).unwrap();
        let image = CodeImage::read(path, &file).unwrap();
        assert!(matches!(find(&image), Offer::Sites(sites) if sites.len() == 1));
        let elsewhere = CodeImage::read("/usr/bin/ls", &file).unwrap();
        assert_eq!(find(&elsewhere), Offer::Nothing);
    }
}
