//! An agent as bytes.

use super::{
    CodecError,
    bytes::{Decoder, Encoder},
};
use crate::model::{
    agent::{Agent, AgentEnd, AgentSource},
    id::ProcessId,
    probe::{Probe, ProbeSet},
};

const VERSION: u8 = 1;

/// An agent's bytes.
pub(in crate::store::disk) fn encode(agent: &Agent) -> Vec<u8> {
    let mut to = Encoder::new(VERSION);
    to.text(agent.id.as_str());
    to.text(&agent.name);
    to.varint(agent.root.0);
    to.time(agent.created);
    to.time(agent.attached);
    to.option_time(agent.expires);
    to.option_time(agent.ended.map(|(at, _)| at));
    to.u8(agent.ended.map_or(0, |(_, why)| end_tag(why)));
    to.option_text(match &agent.source {
        AgentSource::Rule(name) => Some(name),
        AgentSource::Attach => None,
    });
    to.varint(u64::from(agent.probes.bits()));
    to.text(&agent.boot_id);
    to.finish()
}

/// The agent of these bytes.
pub(in crate::store::disk) fn decode(bytes: &[u8]) -> Result<Agent, CodecError> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let agent = Agent {
        id: from.text()?.parse().map_err(|_| CodecError::Range("an agent's id"))?,
        name: from.text()?.to_owned(),
        root: ProcessId(from.varint()?),
        created: from.time()?,
        attached: from.time()?,
        expires: from.option_time()?,
        ended: end(from.option_time()?, from.u8()?)?,
        source: from.option_text()?.map_or(AgentSource::Attach, |name| AgentSource::Rule(name.to_owned())),
        probes: probes(from.varint()?),
        boot_id: from.text()?.to_owned(),
    };
    from.end().map(|()| agent)
}

fn end<T>(at: Option<T>, why: u8) -> Result<Option<(T, AgentEnd)>, CodecError> {
    let why = match why {
        0 => None,
        1 => Some(AgentEnd::Exited),
        2 => Some(AgentEnd::Detached),
        3 => Some(AgentEnd::Expired),
        4 => Some(AgentEnd::Interrupted),
        _ => return Err(CodecError::Unknown("end of an agent", why)),
    };
    Ok(at.zip(why))
}

fn end_tag(why: AgentEnd) -> u8 {
    match why {
        AgentEnd::Exited => 1,
        AgentEnd::Detached => 2,
        AgentEnd::Expired => 3,
        AgentEnd::Interrupted => 4,
    }
}

fn probes(bits: u64) -> ProbeSet {
    Probe::ALL.into_iter().filter(|probe| bits & u64::from(probe.bit()) != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::{agent_at, at};

    #[test]
    fn an_agent_comes_back() {
        let live = agent_at(at(0));
        let mut over = live.clone();
        over.ended = Some((at(5), AgentEnd::Expired));
        over.expires = Some(at(5));
        over.source = AgentSource::Rule("claude".to_owned());
        over.probes = ProbeSet::RULE_DEFAULT;
        for agent in [live, over] {
            let bytes = encode(&agent);
            assert_eq!(format!("{:?}", decode(&bytes).unwrap()), format!("{agent:?}"));
            for cut in 0..bytes.len() {
                assert!(decode(&bytes[..cut]).is_err(), "{cut}");
            }
        }
    }
}
