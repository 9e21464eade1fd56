//! Values on their way to and from PostgreSQL.

use bytes::BytesMut;
use tokio_postgres::Row as PostgresRow;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::datastore::schema::{Column, Table};
use crate::datastore::sql::{Row, SessionError, SqlValue};

type Encoded = Result<IsNull, Box<dyn std::error::Error + Sync + Send>>;

impl ToSql for SqlValue {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Encoded {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(integer) if *of == Type::INT4 => i32::try_from(*integer)?.to_sql(of, out),
            Self::Integer(integer) => integer.to_sql(of, out),
            Self::Real(real) => real.to_sql(of, out),
            Self::Text(text) => text.to_sql(of, out),
            Self::Blob(blob) => blob.to_sql(of, out),
            Self::Integers(integers) => integers.to_sql(of, out),
            Self::Texts(texts) => texts.to_sql(of, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A column of many rows, as an array.
#[derive(Debug)]
pub(super) enum Array {
    Integers(Vec<Option<i64>>),
    Reals(Vec<Option<f64>>),
    Texts(Vec<Option<String>>),
    Blobs(Vec<Option<Vec<u8>>>),
}

impl ToSql for Array {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Encoded {
        match self {
            Self::Integers(values) => values.to_sql(of, out),
            Self::Reals(values) => values.to_sql(of, out),
            Self::Texts(values) => values.to_sql(of, out),
            Self::Blobs(values) => values.to_sql(of, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The columns of rows for a table.
pub(super) fn columns(table: &Table, rows: Vec<Vec<SqlValue>>) -> Vec<Array> {
    let mut columns: Vec<Array> = table
        .columns
        .iter()
        .map(|(_, column)| match column {
            Column::Integer => Array::Integers(Vec::with_capacity(rows.len())),
            Column::Real => Array::Reals(Vec::with_capacity(rows.len())),
            Column::Text => Array::Texts(Vec::with_capacity(rows.len())),
            Column::Blob => Array::Blobs(Vec::with_capacity(rows.len())),
        })
        .collect();
    for row in rows {
        for (column, value) in columns.iter_mut().zip(row) {
            match (column, value) {
                (Array::Integers(values), SqlValue::Integer(value)) => values.push(Some(value)),
                (Array::Integers(values), _) => values.push(None),
                (Array::Reals(values), SqlValue::Real(value)) => values.push(Some(value)),
                (Array::Reals(values), _) => values.push(None),
                (Array::Texts(values), SqlValue::Text(value)) => values.push(Some(value)),
                (Array::Texts(values), _) => values.push(None),
                (Array::Blobs(values), SqlValue::Blob(value)) => values.push(Some(value)),
                (Array::Blobs(values), _) => values.push(None),
            }
        }
    }
    columns
}

/// A row as both databases have it.
pub(super) fn row(read: &PostgresRow) -> Result<Row, SessionError> {
    let mut values = Vec::with_capacity(read.len());
    for (at, column) in read.columns().iter().enumerate() {
        let value = match *column.type_() {
            Type::INT8 => read.try_get::<_, Option<i64>>(at)?.map(SqlValue::Integer),
            Type::INT4 => {
                read.try_get::<_, Option<i32>>(at)?.map(|value| SqlValue::Integer(value.into()))
            }
            Type::FLOAT8 => read.try_get::<_, Option<f64>>(at)?.map(SqlValue::Real),
            Type::BYTEA => read.try_get::<_, Option<Vec<u8>>>(at)?.map(SqlValue::Blob),
            _ => read.try_get::<_, Option<String>>(at)?.map(SqlValue::Text),
        };
        values.push(value.unwrap_or(SqlValue::Null));
    }
    Ok(Row(values))
}
