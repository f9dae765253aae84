//! Every statement of this service, one file per table or view that it touches.

pub mod achievements;
pub mod actions;
pub mod configuration;
pub mod due;
pub mod enrollments;
pub mod erasing;
pub mod events;
pub mod histories;
pub mod judged;
pub mod locks;
pub mod planning;
pub mod workflows;

use domain::ids::{ContactId, EnrollmentId, WorkflowId};
use pg::{Error, Row};
use std::fmt::Display;
use std::str::FromStr;
use uuid::Uuid;

/// A workflow and a contact: at most one active enrollment belongs to them.
pub type Pair = (WorkflowId, ContactId);

/// Pairs as the two arrays that a statement takes.
pub struct Pairs<'a> {
    workflows: Vec<Uuid>,
    contacts: Vec<&'a str>,
}

impl<'a> Pairs<'a> {
    pub fn of(pairs: impl IntoIterator<Item = &'a Pair>) -> Self {
        let (workflows, contacts) =
            pairs.into_iter().map(|(workflow, contact)| (workflow.as_uuid(), contact.as_str())).unzip();
        Self { workflows, contacts }
    }

    pub fn is_empty(&self) -> bool {
        self.workflows.is_empty()
    }
}

/// A column whose text must be one of ours: a word, a contact id.
fn parsed<T>(row: &Row, column: &str) -> Result<T, Error>
where
    T: FromStr<Err: Display>,
{
    parse(column, row.try_get(column)?)
}

/// The same for a column that may be null.
fn parsed_opt<T>(row: &Row, column: &str) -> Result<Option<T>, Error>
where
    T: FromStr<Err: Display>,
{
    let text: Option<&str> = row.try_get(column)?;
    text.map(|text| parse(column, text)).transpose()
}

fn parse<T>(column: &str, text: &str) -> Result<T, Error>
where
    T: FromStr<Err: Display>,
{
    text.parse().map_err(|error: T::Err| Error::Decode(format!("{column}: {error}")))
}

/// A column with a UUID of a certain kind.
fn id<T: From<Uuid>>(row: &Row, column: &str) -> Result<T, Error> {
    Ok(row.try_get::<_, Uuid>(column)?.into())
}

fn uuids(ids: &[EnrollmentId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.as_uuid()).collect()
}
