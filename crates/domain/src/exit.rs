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
    derived_id("workflow.exit.goal", &[&enrollment.to_string(), &version.to_string()])
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
        let Some(value) = event.properties.present(key).filter(|value| value.is_scalar()) else {
            continue;
        };
        let member = Json::Object(vec![(key.to_owned(), value.clone())]);
        // Without its braces, but with the comma before it.
        let cost = member.to_text().len() - 2 + usize::from(!members.is_empty());
        if bytes + cost <= MAX_TRIGGER_BYTES {
            bytes += cost;
            members.push((key.to_owned(), value.clone()));
        }
    }
    Json::Object(members)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::goal::GoalType;
    use crate::json::Limits;

    fn json(text: &str) -> Json {
        Json::parse(text, &Limits::WIRE).unwrap()
    }

    fn trigger(goal_type: &str, criteria: &str, name: &str, properties: &str) -> String {
        let goal_type: GoalType = goal_type.parse().unwrap();
        let event = StoredEvent {
            event_id: Uuid::from_u128(1).into(),
            event_name: name.to_owned(),
            event_time: OffsetDateTime::UNIX_EPOCH,
            received_at: OffsetDateTime::UNIX_EPOCH,
            properties: json(properties),
        };
        trigger_event(&event, &Criteria::parse(goal_type, &json(criteria)).unwrap()).to_text()
    }

    #[test]
    fn the_trigger_is_flat_and_as_written() {
        assert_eq!(
            trigger("tag_added", r#"{"tag_name":"Customer"}"#, "contact.tag.added", r#"{"x":1,"tag_name":"Customer"}"#),
            r#"{"tag_name":"Customer"}"#
        );
        assert_eq!(
            trigger(
                "purchase_made",
                r#"{"any_purchase":true}"#,
                "payment.completed",
                r#"{"order_id":"o","note":"private","amount":100.00,"currency":null,"product_id":{"a":1}}"#
            ),
            r#"{"amount":100.00,"order_id":"o"}"#
        );
        let custom = r#"{"event_name":"a","where":[{"property":"q","op":"exists"},{"property":"p","op":"gte","value":1},{"property":"q","op":"ne","value":2}]}"#;
        assert_eq!(trigger("custom_event", custom, "a", r#"{"p":1.50,"q":"x","r":0}"#), r#"{"q":"x","p":1.50}"#);
        assert_eq!(trigger("custom_event", r#"{"event_name":"a"}"#, "a", r#"{"p":1}"#), "{}");
    }

    #[test]
    fn the_trigger_is_bounded() {
        let properties = format!(r#"{{"p":"{}","q":"{}","r":1}}"#, "x".repeat(8_000), "y".repeat(8_000));
        let custom = r#"{"event_name":"a","where":[{"property":"p","op":"exists"},{"property":"q","op":"exists"},{"property":"r","op":"exists"}]}"#;
        let text = trigger("custom_event", custom, "a", &properties);
        assert!(text.len() <= MAX_TRIGGER_BYTES);
        assert!(text.starts_with(r#"{"p":"x"#) && text.ends_with(r#","r":1}"#) && !text.contains('q'));
        let exact = format!(r#"{{"p":"{}"}}"#, "x".repeat(MAX_TRIGGER_BYTES - 8));
        assert_eq!(trigger("custom_event", custom, "a", &exact).len(), MAX_TRIGGER_BYTES);
        let over = format!(r#"{{"p":"{}"}}"#, "x".repeat(MAX_TRIGGER_BYTES - 7));
        assert_eq!(trigger("custom_event", custom, "a", &over), "{}");
    }

    #[test]
    fn ids_are_functions_of_what_they_name() {
        let (enrollment, other): (EnrollmentId, EnrollmentId) = (Uuid::from_u128(1).into(), Uuid::from_u128(2).into());
        let goal: GoalId = Uuid::from_u128(3).into();
        // Fixed for ever: consumers deduplicate by it.
        assert_eq!(exit_id(enrollment, 2).to_string(), "a620c093-d149-5b8c-afd1-b16cd76af154");
        assert_ne!(exit_id(enrollment, 2), exit_id(enrollment, 3));
        assert_ne!(exit_id(enrollment, 2), exit_id(other, 2));
        assert_eq!(achievement_id(enrollment, goal), achievement_id(enrollment, goal));
        assert_ne!(achievement_id(enrollment, goal), achievement_id(other, goal));
    }

    #[test]
    fn seconds_to_goal_are_whole() {
        let start = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(seconds_to_goal(start, start + time::Duration::milliseconds(1_999)), 1);
        assert_eq!(seconds_to_goal(start, start + time::Duration::hours(48)), 172_800);
        assert_eq!(seconds_to_goal(start, start - time::Duration::hours(1)), 0);
    }
}
