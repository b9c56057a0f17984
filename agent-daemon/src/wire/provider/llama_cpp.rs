//! llama.cpp's server has no host of its own: what it adds to its answers tells.

use super::{COMPATIBLE, Provider};
use crate::wire::field::Server;

pub(super) static PROVIDER: Provider =
    Provider { name: "llama_cpp", hosts: &[], routes: COMPATIBLE, server: Some(Server::LlamaCpp) };
