//! What threads do or wait for at this moment: the collector sees it, and whose they are is known here.

use tokio::sync::{mpsc, oneshot};

use super::roster::Roster;
use crate::{
    collect::Order,
    model::{
        agent::Agent,
        blocked::{Waits, WaitsError},
        id::AgentId,
        probe::Probe,
        time::Timestamp,
    },
};

/// Where the answer goes.
type Reply = oneshot::Sender<Result<Waits, WaitsError>>;

/// Asks the collector on behalf of the agent `id`, and has the answer sent on when it comes.
pub(super) async fn tell(id: AgentId, reply: Reply, roster: &Roster, orders: &mpsc::Sender<Order>) {
    let tells = |agent: &Agent| agent.probes.contains(Probe::OffCpu) || agent.probes.contains(Probe::Ledger);
    let slot = roster.find(&id);
    let (slot, root) = match slot.and_then(|slot| Some((slot, roster.watched(slot)?))) {
        None => return drop(reply.send(Err(WaitsError::NotWatched(id)))),
        Some((_, agent)) if !tells(agent) => return drop(reply.send(Err(WaitsError::NoProbe(id)))),
        Some((slot, agent)) => (slot, agent.root),
    };
    let agents = roster.by_slot().into_iter().map(|(slot, (id, _))| (slot, id)).collect();
    let (asked, answer) = oneshot::channel();
    if orders.send(Order::Waits { reply: asked }).await.is_err() {
        return drop(reply.send(Err(WaitsError::ShuttingDown)));
    }
    tokio::spawn(async move {
        let told = match answer.await {
            Ok(Ok(threads)) => Ok(Waits { at: Timestamp::now(), slot, root, threads, agents }),
            Ok(Err(error)) => Err(WaitsError::Failed(error.to_string())),
            Err(_) => Err(WaitsError::ShuttingDown),
        };
        let _ = reply.send(told);
    });
}
