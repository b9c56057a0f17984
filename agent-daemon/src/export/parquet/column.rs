//! Columns: what they hold, and their cells until a row group is written.

use ::parquet::{
    data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type},
    errors::ParquetError,
    file::writer::SerializedColumnWriter,
};

use crate::model::time::Timestamp;

/// What a column's cells are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// A whole number.
    Int,
    /// A number with decimals.
    Float,
    /// One that uses all of 64 bits.
    Unsigned,
    /// A moment, to the nanosecond, UTC.
    Time,
    /// Text.
    Text,
    /// Yes or no.
    Bool,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Type,
    /// Whether cells may be missing.
    pub(super) optional: bool,
    /// What it means, with its unit.
    pub(super) doc: &'static str,
}

impl Column {
    /// As Parquet writes a schema.
    pub(super) fn schema(&self) -> String {
        let repetition = if self.optional { "optional" } else { "required" };
        let (physical, logical) = match self.kind {
            Type::Int => ("int64", ""),
            Type::Float => ("double", ""),
            Type::Unsigned => ("int64", " (INTEGER(64,false))"),
            Type::Time => ("int64", " (TIMESTAMP(NANOS,true))"),
            Type::Text => ("binary", " (STRING)"),
            Type::Bool => ("boolean", ""),
        };
        format!("{repetition} {physical} {}{logical};", self.name)
    }

    /// As the reference names its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self.kind {
            Type::Int => "int64",
            Type::Float => "double",
            Type::Unsigned => "uint64",
            Type::Time => "timestamp[ns, UTC]",
            Type::Text => "string",
            Type::Bool => "bool",
        }
    }
}

/// A cell.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Int(i64),
    Float(f64),
    Text(String),
    Bool(bool),
    Missing,
}

impl From<u64> for Cell {
    /// The largest there is where it is larger, as none but a damaged sum can be.
    fn from(n: u64) -> Self {
        Self::Int(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Cell {
    fn from(n: f64) -> Self {
        Self::Float(n)
    }
}

impl From<u32> for Cell {
    fn from(n: u32) -> Self {
        Self::Int(i64::from(n))
    }
}

impl From<Timestamp> for Cell {
    fn from(time: Timestamp) -> Self {
        let limit = if time < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX };
        Self::Int(i64::try_from(time.as_nanosecond()).unwrap_or(limit))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Cell {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Self {
        cell.map_or(Self::Missing, Into::into)
    }
}

/// The cells of one column that are not written yet.
#[derive(Default)]
pub(super) struct Cells {
    ints: Vec<i64>,
    floats: Vec<f64>,
    texts: Vec<ByteArray>,
    bools: Vec<bool>,
    /// 1 where there is a cell.
    levels: Vec<i16>,
}

impl Cells {
    pub(super) fn push(&mut self, cell: Cell) {
        self.levels.push(i16::from(!matches!(cell, Cell::Missing)));
        match cell {
            Cell::Int(n) => self.ints.push(n),
            Cell::Float(n) => self.floats.push(n),
            Cell::Text(text) => self.texts.push(ByteArray::from(text.into_bytes())),
            Cell::Bool(yes) => self.bools.push(yes),
            Cell::Missing => {}
        }
    }

    /// Writes the cells, and forgets them.
    pub(super) fn write(
        &mut self,
        column: &Column,
        mut to: SerializedColumnWriter<'_>,
    ) -> Result<(), ParquetError> {
        let levels = Some(self.levels.as_slice()).filter(|_| column.optional);
        match column.kind {
            Type::Int | Type::Unsigned | Type::Time => {
                to.typed::<Int64Type>().write_batch(&self.ints, levels, None)?
            }
            Type::Float => to.typed::<DoubleType>().write_batch(&self.floats, levels, None)?,
            Type::Text => to.typed::<ByteArrayType>().write_batch(&self.texts, levels, None)?,
            Type::Bool => to.typed::<BoolType>().write_batch(&self.bools, levels, None)?,
        };
        *self = Self::default();
        to.close()
    }
}
