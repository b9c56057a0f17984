//! A store into lines: the same as the journal's, in one section.

use super::{encode::Encoder, line::Line};
use crate::{
    export::select::{Exported, Selection},
    model::{
        operation::Kept,
        time::{TimeRange, Timestamp},
    },
    store::{Store, StoreError},
};

/// Why an export ended early: the store, or who takes the lines.
#[derive(Debug, thiserror::Error)]
pub enum ExportError<E> {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Who takes them does not any more.
    #[error("{0}")]
    Taker(E),
}

/// The name of an export's only section.
#[must_use]
pub fn section_of_export(now: Timestamp) -> String {
    format!("export-{:x}", now.as_nanosecond())
}

/// Takes lines, and hears what was exported so far.
pub type Take<'a, E> = dyn FnMut(&[Line], &Exported) -> Result<(), E> + 'a;

/// Shows the lines of a store, a few at a time: agents, each with its processes and then its windows; then operations; then the
/// host, unless agents are chosen.
///
/// # Errors
/// The store cannot be read, or `take` fails.
pub fn export<'a, E>(
    store: &dyn Store,
    selection: &Selection,
    section: String,
    take: &'a mut Take<'a, E>,
) -> Result<Exported, ExportError<E>> {
    let mut export =
        Running { encoder: Encoder::default(), done: Exported::default(), lines: Vec::new(), take };
    let agents = selection.agents(store);
    let at = agents.first().map_or(Timestamp::UNIX_EPOCH, |agent| agent.attached);
    export.encoder.begin(section, at, &mut export.lines);
    for agent in &agents {
        export.encoder.agent(agent, &mut export.lines);
        export.done.agents += 1;
        for process in store.processes(&agent.id, selection.range)? {
            export.encoder.process(&agent.id, agent.attached, &process, &mut export.lines);
            export.done.processes += 1;
        }
        export.hand_over().map_err(ExportError::Taker)?;
        let mut failed = None;
        store.visit(&agent.id, selection.range, &mut |window| {
            if failed.is_none() {
                export.encoder.window(window.clone(), &mut export.lines);
                export.done.windows += 1;
                failed = export.hand_over().err();
            }
        })?;
        if let Some(error) = failed {
            return Err(ExportError::Taker(error));
        }
    }
    export.operations(store, selection)?;
    if selection.takes(None) {
        export.host(store, selection.range)?;
    }
    export.hand_over().map_err(ExportError::Taker)?;
    Ok(export.done)
}

struct Running<'a, E> {
    encoder: Encoder,
    done: Exported,
    lines: Vec<Line>,
    take: &'a mut Take<'a, E>,
}

impl<E> Running<'_, E> {
    fn operations(&mut self, store: &dyn Store, selection: &Selection) -> Result<(), ExportError<E>> {
        let mut failed = None;
        store.visit_operations(selection.range, &mut |kept| {
            if failed.is_some() {
                return;
            }
            match kept {
                Kept::One(operation) if selection.takes(operation.agent.as_ref()) => {
                    self.encoder.operation(operation, &mut self.lines);
                    self.done.operations += 1;
                }
                Kept::One(_) => {}
                Kept::Sums(sums) => {
                    let sums = selection.sums(sums);
                    self.encoder.sums(&sums, &mut self.lines);
                    self.done.operation_sums += sums.rows.len() as u64;
                }
            }
            failed = self.hand_over().err();
        })?;
        failed.map_or(Ok(()), |error| Err(ExportError::Taker(error)))
    }

    fn host(&mut self, store: &dyn Store, range: TimeRange) -> Result<(), ExportError<E>> {
        let mut failed = None;
        store.visit_host(range, &mut |window| {
            if failed.is_none() {
                self.encoder.host(window, &mut self.lines);
                self.done.host_windows += 1;
                failed = self.hand_over().err();
            }
        })?;
        failed.map_or(Ok(()), |error| Err(ExportError::Taker(error)))
    }

    fn hand_over(&mut self) -> Result<(), E> {
        (self.take)(&self.lines, &self.done)?;
        self.lines.clear();
        Ok(())
    }
}
