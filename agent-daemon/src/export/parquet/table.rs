//! A table as a file: rows are gathered and written a group at a time.

use std::{fs::File, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc};

use ::parquet::{
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};

use super::{
    ParquetExportError,
    column::{Cell, Cells, Column},
    table_id::TableId,
    tables::TABLES,
};

/// Rows of a group.
const GROUP: usize = 1 << 16;

/// Every table's file.
pub(super) struct Tables(Vec<Table>);

impl Tables {
    /// Makes the files, which must not be there.
    pub(super) fn create(folder: &Path) -> Result<Self, ParquetExportError> {
        let made = TABLES.iter().map(|(id, columns)| Table::create(folder, id.name(), columns));
        made.collect::<Result<_, _>>().map(Self)
    }

    /// Adds a row: a cell for each column, in their order.
    pub(super) fn push<const N: usize>(&mut self, id: TableId, row: [Cell; N]) -> Result<(), ParquetError> {
        self.push_both(id, row, [])
    }

    /// Adds a row that is given in two parts.
    pub(super) fn push_both<const N: usize, const M: usize>(
        &mut self,
        id: TableId,
        first: [Cell; N],
        then: [Cell; M],
    ) -> Result<(), ParquetError> {
        let place = TABLES.iter().position(|(known, _)| *known == id);
        let table = place.and_then(|place| self.0.get_mut(place));
        table.map_or(Ok(()), |table| table.push(N + M, first.into_iter().chain(then)))
    }

    /// Writes what is left.
    pub(super) fn finish(self) -> Result<(), ParquetError> {
        self.0.into_iter().try_for_each(Table::finish)
    }
}

struct Table {
    columns: &'static [Column],
    cells: Vec<Cells>,
    rows: usize,
    file: SerializedFileWriter<File>,
}

impl Table {
    fn create(folder: &Path, name: &str, columns: &'static [Column]) -> Result<Self, ParquetExportError> {
        let path = folder.join(format!("{name}.parquet"));
        let mut options = File::options();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        let fields: String = columns.iter().map(|column| column.schema() + "\n").collect();
        let schema = Arc::new(parse_message_type(&format!("message {name} {{\n{fields}}}"))?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(format!("agentperf {}", env!("CARGO_PKG_VERSION")))
            .build();
        let file = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
        let cells = columns.iter().map(|_| Cells::default()).collect();
        Ok(Self { columns, cells, rows: 0, file })
    }

    fn push(&mut self, length: usize, row: impl Iterator<Item = Cell>) -> Result<(), ParquetError> {
        debug_assert_eq!(length, self.columns.len());
        self.cells.iter_mut().zip(row).for_each(|(cells, cell)| cells.push(cell));
        self.rows += 1;
        if self.rows >= GROUP { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for (column, cells) in self.columns.iter().zip(&mut self.cells) {
            if let Some(writer) = group.next_column()? {
                cells.write(column, writer)?;
            }
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<(), ParquetError> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.file.close().map(drop)
    }
}
