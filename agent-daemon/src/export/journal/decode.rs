//! Lines into records. Whatever a line holds, reading it ends in a record or a [`LineError`].

use std::collections::VecDeque;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{
    data::{
        DataError, Entry, Kind, SectionData,
        agent::AgentData,
        host::HostData,
        names::{Names, NamesData},
        operation::{OperationData, SumData},
        process::ProcessData,
        window::WindowData,
    },
    line::{Read, Versioned},
};

/// Sections that are remembered: more than one where journals of several daemons are read one after the other.
const SECTIONS: usize = 4;

/// Why a line is no record.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is no JSON, or not of the shape.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It has no `logger` or no `data`.
    #[error("it is no line of agentperf's journal: {0} is missing")]
    Foreign(&'static str),
    /// A newer agentperf wrote it, or nobody.
    #[error("nothing is known of lines of {0:?}")]
    Unknown(String),
    /// Its data are no record.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Its section was not begun, or is long over.
    #[error("its section {0:?} was not begun")]
    NoSection(String),
    /// It is longer than any line that agentperf writes.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
}

/// Reads lines, in their order.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The sections that began last, the newest at the end.
    sections: VecDeque<(String, Names)>,
}

impl Decoder {
    /// Reads one line. Those that only tell names hold no record.
    ///
    /// # Errors
    /// It is no line of a journal's; the next may be one all the same.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Entry>, LineError> {
        let read: Read<'_> = serde_json::from_slice(line)?;
        match read.record {
            Some(inner) => self.read(&serde_json::from_str(&inner)?),
            // Another's, such as the daemon's log.
            None if read.cursor.is_some() => Ok(None),
            None => self.read(&read),
        }
    }

    fn read(&mut self, read: &Read<'_>) -> Result<Option<Entry>, LineError> {
        let logger = read.logger.as_deref().ok_or(LineError::Foreign("logger"))?;
        let data = read.data.ok_or(LineError::Foreign("data"))?;
        let kind = Kind::of(logger).ok_or_else(|| LineError::Unknown(logger.chars().take(80).collect()))?;
        match kind {
            Kind::Section => self.begin(parse(kind, data)?),
            Kind::Names => {
                let names: NamesData = parse(kind, data)?;
                self.section(&names.section)?.add(names)?;
            }
            Kind::Agent => return Ok(Some(Entry::Agent(parse::<AgentData>(kind, data)?.try_into()?))),
            Kind::Process => return Ok(Some(parse::<ProcessData>(kind, data)?.try_into()?)),
            Kind::Window => {
                let window: WindowData = parse(kind, data)?;
                let names = self.section(&window.section)?;
                return Ok(Some(Entry::Window(window.named(names)?)));
            }
            Kind::Operation => {
                let operation = parse::<OperationData>(kind, data)?.try_into()?;
                return Ok(Some(Entry::Operation(Box::new(operation))));
            }
            Kind::Host => {
                return Ok(Some(Entry::Host(Box::new(parse::<HostData>(kind, data)?.try_into()?))));
            }
            Kind::OperationSum => return Ok(Some(Entry::Sums(parse::<SumData>(kind, data)?.try_into()?))),
        }
        Ok(None)
    }

    fn begin(&mut self, data: SectionData) {
        self.sections.retain(|(name, _)| *name != data.section);
        if self.sections.len() >= SECTIONS {
            self.sections.pop_front();
        }
        self.sections.push_back((data.section, Names::default()));
    }

    fn section(&mut self, wanted: &str) -> Result<&mut Names, LineError> {
        let found = self.sections.iter_mut().rev().find(|(name, _)| name == wanted);
        found.map(|(_, names)| names).ok_or_else(|| LineError::NoSection(wanted.chars().take(80).collect()))
    }
}

/// The data, if their version is known.
fn parse<D: DeserializeOwned>(kind: Kind, data: &RawValue) -> Result<D, LineError> {
    let Versioned { v } = serde_json::from_str(data.get())?;
    if v > kind.version() {
        return Err(DataError::TooNew(v).into());
    }
    Ok(serde_json::from_str(data.get())?)
}
