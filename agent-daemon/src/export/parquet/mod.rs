//! A store as Parquet files, one a table, for DuckDB, pandas and whatever else reads them. Written row group by row
//! group, so that a store of any size needs no more memory than its stacks.

mod column;
mod rows;
mod table;
mod table_id;
mod tables;

pub use tables::reference;

use std::{fs::DirBuilder, io, os::unix::fs::DirBuilderExt, path::Path};

use ::parquet::errors::ParquetError;

use self::{rows::Rows, table::Tables};
use crate::{
    export::select::{Exported, Selection},
    model::{operation::Kept, time::TimeRange},
    store::{Store, StoreError},
};

/// Why there are no files.
#[derive(Debug, thiserror::Error)]
pub enum ParquetExportError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or the folder cannot be written.
    #[error("cannot write the tables: {0}")]
    Io(#[from] io::Error),
    /// A file cannot be written.
    #[error("cannot write a table: {0}")]
    Parquet(#[from] ParquetError),
}

/// Writes every table into `folder`, which is made. What is there already is not overwritten.
///
/// # Errors
/// A table is there already; the store cannot be read; the disk is full.
pub fn export(
    store: &dyn Store,
    selection: &Selection,
    folder: &Path,
    progress: &mut dyn FnMut(&Exported),
) -> Result<Exported, ParquetExportError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut rows = Rows::new(Tables::create(folder)?);
    let mut done = Exported::default();
    for agent in selection.agents(store) {
        rows.agent(&agent)?;
        done.agents += 1;
        for process in store.processes(&agent.id, selection.range)? {
            rows.process(&agent.id, &process)?;
            done.processes += 1;
        }
        progress(&done);
        let mut failed = None;
        store.visit(&agent.id, selection.range, &mut |window| {
            if failed.is_none() {
                failed = rows.window(window).err();
                done.windows += 1;
                progress(&done);
            }
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
    }
    operations(store, selection, &mut rows, &mut done)?;
    if selection.takes(None) {
        host(store, selection.range, &mut rows, &mut done)?;
    }
    progress(&done);
    rows.finish()?;
    Ok(done)
}

fn operations(
    store: &dyn Store,
    selection: &Selection,
    rows: &mut Rows,
    done: &mut Exported,
) -> Result<(), ParquetExportError> {
    let mut outcome = Ok(());
    store.visit_operations(selection.range, &mut |kept| {
        if outcome.is_err() {
            return;
        }
        outcome = match kept {
            Kept::One(operation) if selection.takes(operation.agent.as_ref()) => {
                done.operations += 1;
                rows.operation(operation)
            }
            Kept::One(_) => Ok(()),
            Kept::Sums(sums) => {
                let mut chosen = sums.rows.iter().filter(|(key, _)| selection.takes(key.agent.as_ref()));
                chosen.try_for_each(|row| {
                    done.operation_sums += 1;
                    rows.operation_sum((sums.start, sums.end), row)
                })
            }
        };
    })?;
    Ok(outcome?)
}

fn host(
    store: &dyn Store,
    range: TimeRange,
    rows: &mut Rows,
    done: &mut Exported,
) -> Result<(), ParquetExportError> {
    let mut outcome = Ok(());
    store.visit_host(range, &mut |window| {
        if outcome.is_ok() {
            outcome = rows.host(window);
            done.host_windows += 1;
        }
    })?;
    Ok(outcome?)
}

#[cfg(test)]
mod tests;
