//! What an exit says about itself: its id, its duration, the event that brought it about.

use time::OffsetDateTime;
use uuid::Uuid;

use crate::contract::derived_id;
use crate::goal::{Criteria, StoredEvent};
use crate::ids::{AchievementId, EnrollmentId, GoalId};
use crate::json::Json;

/// Largest `trigger_event`, in bytes of compact JSON.
pub const MAX_TRIGGER_BYTES: usize = 8_192;

/// The id of `workflow.exit.goal`: UUIDv5 of the enrollment and its version after the exit.
#[must_use]
pub fn exit_id(enrollment: EnrollmentId, version: i64) -> Uuid {
    derived_id(
        "workflow.exit.goal",
        &[&enrollment.to_string(), &version.to_string()],
    )
}

/// The id of an achievement: UUIDv5 of the enrollment and the goal, which meet at most once.
#[must_use]
pub fn achievement_id(enrollment: EnrollmentId, goal: GoalId) -> AchievementId {
    derived_id("achievement", &[&enrollment.to_string(), &goal.to_string()]).into()
}

/// Whole seconds from the enrollment to the latest achievement of the completing set; never negative.
#[must_use]
pub fn seconds_to_goal(enrolled_at: OffsetDateTime, reached_at: OffsetDateTime) -> i64 {
    (reached_at - enrolled_at).whole_seconds().max(0)
}

/// The properties of the event that say why it met the goal, flat, as they were written: those that
/// [`Criteria::trigger_keys`] names and that are scalars, as many as fit into 8 KiB.
#[must_use]
pub fn trigger_event(event: &StoredEvent, criteria: &Criteria) -> Json {
    let mut members: Vec<(String, Json)> = Vec::new();
    let mut bytes = 2;
    for key in criteria.trigger_keys() {
        let Some(value) = event
            .properties
            .present(key)
            .filter(|value| value.is_scalar())
        else {
            continue;
        };
        let member = Json::Object(vec![(key.to_owned(), value.clone())]);
        // Without its braces, but with a comma.
        let cost = member.to_text().len() - 1;
        if bytes + cost <= MAX_TRIGGER_BYTES {
            bytes += cost;
            members.push((key.to_owned(), value.clone()));
        }
    }
    Json::Object(members)
}
