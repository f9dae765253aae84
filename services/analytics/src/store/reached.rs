//! What every figure here has in common: how many enrollments reached something, and how fast.

use crate::error::Error;
use pg::Row;
use time::OffsetDateTime;

/// How long it took to reach a goal, over the enrollments that did. Hours with two decimals; percentiles are continuous
/// (`percentile_cont`); none where nothing was achieved.
#[derive(Debug)]
pub struct TimeToGoal {
    pub average_hours: Option<f64>,
    pub median_hours: Option<f64>,
    pub p90_hours: Option<f64>,
    pub p95_hours: Option<f64>,
}

/// How many enrollments reached something, what percentage of all that is (one decimal), and how fast.
#[derive(Debug)]
pub struct Reached {
    pub achieved: i64,
    pub conversion_rate: f64,
    pub time_to_goal: TimeToGoal,
}

/// Rate and times over an interval `$took` that is null where nothing was reached. `round` of a numeric is half away from zero.
macro_rules! figures {
    ($achieved:literal, $of:literal, $took:literal) => {
        concat!(
            "count(",
            $achieved,
            ") AS achieved, ",
            "coalesce(round(100.0 * count(",
            $achieved,
            ") / nullif(",
            $of,
            ", 0), 1), 0)::float8 AS conversion_rate, ",
            "round(avg(extract(epoch FROM ",
            $took,
            ")) / 3600, 2)::float8 AS average_hours, ",
            "round((percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM ",
            $took,
            ")::float8) / 3600)::numeric, 2)::float8 AS median_hours, ",
            "round((percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM ",
            $took,
            ")::float8) / 3600)::numeric, 2)::float8 AS p90_hours, ",
            "round((percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM ",
            $took,
            ")::float8) / 3600)::numeric, 2)::float8 AS p95_hours "
        )
    };
}

pub(super) use figures;

/// Bounds outside of every time that an enrollment may have (years 1970–2100).
pub(super) const EARLIEST: OffsetDateTime = time::macros::datetime!(1900-01-01 00:00 UTC);
pub(super) const LATEST: OffsetDateTime = time::macros::datetime!(2200-01-01 00:00 UTC);

/// The columns of `figures!`, from `first` on.
pub(super) fn reached(row: &Row, first: usize) -> Result<Reached, Error> {
    Ok(Reached {
        achieved: column(row, first)?,
        conversion_rate: column(row, first + 1)?,
        time_to_goal: TimeToGoal {
            average_hours: column(row, first + 2)?,
            median_hours: column(row, first + 3)?,
            p90_hours: column(row, first + 4)?,
            p95_hours: column(row, first + 5)?,
        },
    })
}

pub(super) fn all<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    rows.iter().map(read).collect()
}

pub(super) fn column<'a, T: pg::FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, Error> {
    Ok(row.try_get(index).map_err(pg::Error::from)?)
}
