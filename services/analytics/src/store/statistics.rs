//! The figures of a workflow's goals, straight from the published views of evaluator and goals. Nothing is counted up
//! anywhere, so a figure always equals a recount.

use super::reached::{EARLIEST, LATEST, Reached, all, column, figures, reached};
use crate::error::Error;
use crate::statistics::OfWorkflow;
use domain::ids::GoalId;
use pg::Tx;
use time::{Date, OffsetDateTime};

/// Everything that is known of a workflow's goals at `as_of`.
#[derive(Debug)]
pub struct Statistics {
    pub total_enrolled: i64,
    pub reached: Reached,
    pub by_status: Vec<(String, i64)>,
    pub by_goal: Vec<(GoalId, String, Reached)>,
    pub by_goal_type: Vec<(String, Reached)>,
    pub by_day: Vec<Day>,
    pub as_of: OffsetDateTime,
}

/// A day in the time zone of the tenant: how many were enrolled on it, and how many reached their goal on it.
#[derive(Debug)]
pub struct Day {
    pub date: Date,
    pub enrolled: i64,
    pub goals_achieved: i64,
}

/// The enrollments that are asked about: `$1` tenant, `$2` workflow, `$3` and `$4` the span of `enrolled_at`.
macro_rules! asked {
    () => {
        "e.tenant_id = $1 AND e.workflow_id = $2 AND e.enrolled_at >= $3 AND e.enrolled_at < $4 "
    };
}

const WORKFLOW: &str = "SELECT now() FROM goals.v_workflows_v1 w WHERE w.tenant_id = $1 AND w.workflow_id = $2";

const TOTALS: &str = concat!(
    "SELECT count(*) AS total_enrolled, ",
    figures!("e.goal_reached_at", "count(*)", "e.goal_reached_at - e.enrolled_at"),
    "FROM evaluator.v_enrollments_v1 e WHERE ",
    asked!()
);

const BY_STATUS: &str = concat!(
    "SELECT s.status, count(e.enrollment_id) FROM unnest('{active,completed_goal,completed,removed,failed}'::text[]) ",
    "WITH ORDINALITY AS s (status, place) LEFT JOIN evaluator.v_enrollments_v1 e ON e.status = s.status AND ",
    asked!(),
    "GROUP BY s.status, s.place ORDER BY s.place"
);

/// `$5` is the number of enrollments in all.
const BY_GOAL: &str = concat!(
    "SELECT g.goal_id, g.goal_type, ",
    figures!("a.achieved_at", "$5::bigint", "a.achieved_at - a.enrolled_at"),
    "FROM goals.v_goals_v1 g LEFT JOIN (SELECT a.goal_id, a.achieved_at, e.enrolled_at FROM evaluator.v_enrollments_v1 e ",
    "JOIN evaluator.v_achievements_v1 a ON a.tenant_id = e.tenant_id AND a.enrollment_id = e.enrollment_id WHERE ",
    asked!(),
    ") a ON a.goal_id = g.goal_id WHERE g.tenant_id = $1 AND g.workflow_id = $2 ",
    "GROUP BY g.goal_id, g.goal_type, g.position, g.created_at, g.deleted_at ",
    "HAVING g.deleted_at IS NULL OR count(a.achieved_at) > 0 ORDER BY g.position, g.created_at, g.goal_id"
);

/// Of several goals of one type an enrollment counts once, with the first it reached.
const BY_GOAL_TYPE: &str = concat!(
    "SELECT t.goal_type, ",
    figures!("t.achieved_at", "$5::bigint", "t.achieved_at - t.enrolled_at"),
    "FROM (SELECT a.goal_type, min(a.achieved_at) AS achieved_at, e.enrolled_at FROM evaluator.v_enrollments_v1 e ",
    "JOIN evaluator.v_achievements_v1 a ON a.tenant_id = e.tenant_id AND a.enrollment_id = e.enrollment_id WHERE ",
    asked!(),
    "GROUP BY a.goal_type, e.enrollment_id, e.enrolled_at) t GROUP BY t.goal_type ORDER BY t.goal_type"
);

const BY_DAY: &str = concat!(
    "SELECT d.day, sum(d.enrolled)::bigint, sum(d.achieved)::bigint FROM platform.v_time_zones_v1 z CROSS JOIN LATERAL (",
    "SELECT (e.enrolled_at AT TIME ZONE z.time_zone)::date AS day, 1 AS enrolled, 0 AS achieved FROM evaluator.v_enrollments_v1 e WHERE ",
    asked!(),
    "UNION ALL SELECT (e.goal_reached_at AT TIME ZONE z.time_zone)::date, 0, 1 FROM evaluator.v_enrollments_v1 e WHERE ",
    asked!(),
    "AND e.goal_reached_at IS NOT NULL) d WHERE z.tenant_id = $1 GROUP BY d.day ORDER BY d.day"
);

/// All figures as of one snapshot; none if the tenant has no such workflow.
pub async fn read(tx: &Tx, question: &OfWorkflow) -> Result<Option<Statistics>, Error> {
    let (tenant, workflow) = (question.tenant.as_str(), question.workflow.as_uuid());
    let Some(row) = tx.query_opt(WORKFLOW, &[&tenant, &workflow]).await? else {
        return Ok(None);
    };
    let as_of = column(&row, 0)?;
    let (from, to) = (question.span.from.unwrap_or(EARLIEST), question.span.to.unwrap_or(LATEST));
    let totals = tx.query_one(TOTALS, &[&tenant, &workflow, &from, &to]).await?;
    let total_enrolled: i64 = column(&totals, 0)?;
    let by_status = tx.query(BY_STATUS, &[&tenant, &workflow, &from, &to]).await?;
    let by_goal = tx.query(BY_GOAL, &[&tenant, &workflow, &from, &to, &total_enrolled]).await?;
    let by_goal_type = tx.query(BY_GOAL_TYPE, &[&tenant, &workflow, &from, &to, &total_enrolled]).await?;
    let by_day = tx.query(BY_DAY, &[&tenant, &workflow, &from, &to]).await?;
    Ok(Some(Statistics {
        total_enrolled,
        reached: reached(&totals, 1)?,
        by_status: all(&by_status, |row| Ok((column(row, 0)?, column(row, 1)?)))?,
        by_goal: all(&by_goal, |row| {
            Ok((GoalId::from(column::<uuid::Uuid>(row, 0)?), column(row, 1)?, reached(row, 2)?))
        })?,
        by_goal_type: all(&by_goal_type, |row| Ok((column(row, 0)?, reached(row, 1)?)))?,
        by_day: all(&by_day, |row| {
            Ok(Day { date: column(row, 0)?, enrolled: column(row, 1)?, goals_achieved: column(row, 2)? })
        })?,
        as_of,
    }))
}
