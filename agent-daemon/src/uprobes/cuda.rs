//! Finds the functions of CUDA's driver API in `libcuda.so.1`, by the names under which it exports them. The runtime
//! (`libcudart`), which most programs use, asks the driver for the addresses of the same functions, so that its calls
//! are seen, too; calls that go by tables of the driver's own are not.

use agent_common::cuda::{Cookie, call};

use super::{
    code::{CodeImage, Function},
    finder::Offer,
    site::{REACH, cheapest},
};
use crate::kernel::{Site, UprobeProgram};

/// When a call is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// When it is made: cheap, for what is called often and returns at once.
    Made,
    /// When it returns: how long it took, and whether it failed, is known then.
    Returned,
}

const fn made(name: &'static str, cookie: Cookie) -> (&'static str, Cookie, Seen) {
    (name, cookie, Seen::Made)
}

const fn returned(name: &'static str, cookie: Cookie) -> (&'static str, Cookie, Seen) {
    (name, cookie, Seen::Returned)
}

const LAUNCH: Cookie = Cookie::new(call::LAUNCH);
const TO_GPU: Cookie = Cookie::new(call::COPY_TO_GPU);
const TO_HOST: Cookie = Cookie::new(call::COPY_TO_HOST);
const COPY: Cookie = Cookie::new(call::COPY);
const FILL: Cookie = Cookie::new(call::FILL);
const ALLOCATE: Cookie = Cookie::new(call::ALLOCATE);
const FREE: Cookie = Cookie::new(call::FREE);
const SYNCHRONIZE: Cookie = Cookie::new(call::SYNCHRONIZE).waiting();

/// The functions, without the endings that tell their versions and which stream they mean by none. Copies that are not
/// asynchronous return when they are done. The bytes of copies that a structure describes are not known.
const FUNCTIONS: [(&str, Cookie, Seen); 51] = [
    made("cuLaunchKernel", LAUNCH),
    made("cuLaunchKernelEx", LAUNCH),
    made("cuLaunchCooperativeKernel", LAUNCH),
    made("cuLaunchCooperativeKernelMultiDevice", LAUNCH),
    made("cuLaunch", LAUNCH),
    made("cuLaunchGrid", LAUNCH),
    made("cuLaunchGridAsync", LAUNCH),
    made("cuGraphLaunch", Cookie::new(call::GRAPH_LAUNCH)),
    returned("cuMemcpyHtoD", TO_GPU.bytes(3).waiting()),
    made("cuMemcpyHtoDAsync", TO_GPU.bytes(3)),
    returned("cuMemcpyHtoA", TO_GPU.bytes(4).waiting()),
    made("cuMemcpyHtoAAsync", TO_GPU.bytes(4)),
    returned("cuMemcpyDtoH", TO_HOST.bytes(3).waiting()),
    made("cuMemcpyDtoHAsync", TO_HOST.bytes(3)),
    returned("cuMemcpyAtoH", TO_HOST.bytes(4).waiting()),
    made("cuMemcpyAtoHAsync", TO_HOST.bytes(4)),
    returned("cuMemcpy", COPY.bytes(3).waiting()),
    made("cuMemcpyAsync", COPY.bytes(3)),
    made("cuMemcpyDtoD", COPY.bytes(3)),
    made("cuMemcpyDtoDAsync", COPY.bytes(3)),
    made("cuMemcpyDtoA", COPY.bytes(4)),
    made("cuMemcpyAtoD", COPY.bytes(4)),
    made("cuMemcpyAtoA", COPY.bytes(5)),
    made("cuMemcpyPeer", COPY.bytes(5)),
    made("cuMemcpyPeerAsync", COPY.bytes(5)),
    returned("cuMemcpy2D", COPY.waiting()),
    returned("cuMemcpy2DUnaligned", COPY.waiting()),
    made("cuMemcpy2DAsync", COPY),
    returned("cuMemcpy3D", COPY.waiting()),
    made("cuMemcpy3DAsync", COPY),
    made("cuMemcpy3DPeer", COPY),
    made("cuMemcpy3DPeerAsync", COPY),
    made("cuMemsetD8", FILL.bytes(3)),
    made("cuMemsetD8Async", FILL.bytes(3)),
    made("cuMemsetD16", FILL.bytes(3).shifted(1)),
    made("cuMemsetD16Async", FILL.bytes(3).shifted(1)),
    made("cuMemsetD32", FILL.bytes(3).shifted(2)),
    made("cuMemsetD32Async", FILL.bytes(3).shifted(2)),
    made("cuMemsetD2D8", FILL.bytes(4).times(5)),
    made("cuMemsetD2D32", FILL.bytes(4).times(5).shifted(2)),
    returned("cuMemAlloc", ALLOCATE.bytes(2)),
    returned("cuMemAllocAsync", ALLOCATE.bytes(2)),
    returned("cuMemAllocFromPoolAsync", ALLOCATE.bytes(2)),
    returned("cuMemAllocManaged", ALLOCATE.bytes(2)),
    returned("cuMemAllocPitch", ALLOCATE.bytes(3).times(4)),
    returned("cuMemCreate", ALLOCATE.bytes(2)),
    returned("cuMemFree", FREE),
    returned("cuMemFreeAsync", FREE),
    returned("cuCtxSynchronize", SYNCHRONIZE),
    returned("cuStreamSynchronize", SYNCHRONIZE),
    returned("cuEventSynchronize", SYNCHRONIZE),
];

pub(super) fn find(image: &CodeImage<'_>) -> Offer {
    if !image.file_name().starts_with("libcuda.so") {
        return Offer::Nothing;
    }
    let mut functions = image.exports(|name| known(name).is_some());
    // Two names of one function are one call.
    functions.sort_by_key(|function| function.offset);
    functions.dedup_by_key(|function| function.offset);
    let sites: Vec<Site> = functions.iter().flat_map(|function| sites(image, function)).flatten().collect();
    if sites.is_empty() {
        return Offer::Blind("it exports no function of the driver API".to_owned());
    }
    Offer::Sites(sites)
}

/// What is known of a function with this name.
fn known(name: &str) -> Option<&'static (&'static str, Cookie, Seen)> {
    let name = ["_ptsz", "_ptds"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    let name = ["_v2", "_v3"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    FUNCTIONS.iter().find(|(known, ..)| *known == name)
}

fn sites(image: &CodeImage<'_>, function: &Function) -> Option<Vec<Site>> {
    let &(_, Cookie(cookie), seen) = known(&function.name)?;
    let site = |program, offset| Site { program, offset, cookie };
    Some(match seen {
        Seen::Made => {
            let code = image.code(function.address, REACH).unwrap_or_default();
            vec![site(UprobeProgram::CudaCall, function.offset + cheapest(&code))]
        }
        // Both at the first instruction: what tells the two ends of a call is the stack pointer there.
        Seen::Returned => vec![
            site(UprobeProgram::CudaReturn, function.offset),
            site(UprobeProgram::CudaEnter, function.offset),
        ],
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    #[test]
    fn versions_and_streams_are_no_other_calls() {
        let named = |name| known(name).map(|(known, ..)| *known);
        assert_eq!(named("cuMemcpyHtoDAsync_v2_ptsz"), Some("cuMemcpyHtoDAsync"));
        assert_eq!(named("cuMemcpy_ptds"), Some("cuMemcpy"));
        assert_eq!(named("cuCtxSynchronize"), Some("cuCtxSynchronize"));
        assert_eq!(named("cuMemcpyHtoDAsyncBeyond"), None);
        assert_eq!(named("cuInit"), None);
    }

    #[test]
    fn the_functions_that_a_library_exports_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let (source, library) = (directory.path().join("x.c"), directory.path().join("libcuda.so.1"));
        let functions = "int cuLaunchKernel_ptsz(void) { return 0; } int cuCtxSynchronize(void) { return 0; }\n\
                         int cuInit(void) { return 0; } static int cuMemAlloc_v2(void) { return 0; }\n\
                         int (*hidden)(void) = cuMemAlloc_v2;\n";
        fs::write(&source, functions).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
        assert!(cc.status().unwrap().success());
        let bytes = fs::read(&library).unwrap();
        let image = CodeImage::read(library.to_str().unwrap(), &bytes).unwrap();
        let Offer::Sites(sites) = find(&image) else { panic!("no sites") };
        let programs: Vec<_> = sites.iter().map(|site| (site.program, Cookie(site.cookie).call())).collect();
        assert_eq!(programs.len(), 3, "{programs:?}");
        for expected in [
            (UprobeProgram::CudaCall, call::LAUNCH),
            (UprobeProgram::CudaEnter, call::SYNCHRONIZE),
            (UprobeProgram::CudaReturn, call::SYNCHRONIZE),
        ] {
            assert!(programs.contains(&expected), "{programs:?}");
        }
        let other = CodeImage::read("/usr/lib/libc.so.6", &bytes).unwrap();
        assert_eq!(find(&other), Offer::Nothing);
    }
}
