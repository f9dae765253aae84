//! Schemas of the types of `domain`, which knows nothing of HTTP, and of what else stands in many documents.

use domain::action::ActionStatus;
use domain::catalogue::Subject;
use domain::credential::Role;
use domain::dead_letter::Schema as DeadLetterSchema;
use domain::enrollment::{EnrollmentStatus, ExitReason};
use domain::goal::{GoalStatus, GoalType, OnEnroll, Reason, ReferenceKind};
use domain::ids::MAX_ID_CHARS;
use domain::workflow::{MAX_GOALS, WorkflowStatus};
use serde_json::json;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ArrayItems, Object, ObjectBuilder, OneOfBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, RefOr, Schema};

/// Any text.
pub fn text() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

/// A text of 1 to `max` characters.
pub fn text_of(max: usize) -> Object {
    ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(max)).build()
}

/// A whole number from 0 on.
pub fn count() -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build()
}

/// Yes or no.
pub fn flag() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).build()
}

/// A UUID, in lower case.
pub fn uuid() -> Object {
    let format = SchemaFormat::KnownFormat(KnownFormat::Uuid);
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build()
}

/// A moment, RFC 3339. Answers are in UTC.
pub fn moment() -> Object {
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build()
}

/// The id of a contact, or of anything that another system names.
pub fn text_id() -> Object {
    text_of(MAX_ID_CHARS)
}

/// The id of a tenant.
pub fn tenant_id() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Za-z0-9_-]{1,64}$"))
        .examples([json!("demo")])
        .build()
}

/// Any JSON object.
pub fn object() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .build()
}

/// Any JSON object, or `null`.
pub fn object_or_null() -> Object {
    let either = SchemaType::from_iter([Type::Object, Type::Null]);
    ObjectBuilder::new().schema_type(either).additional_properties(Some(AdditionalProperties::FreeForm(true))).build()
}

/// A text with one of these words.
pub fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Object {
    let words: Vec<&str> = words.into_iter().collect();
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

macro_rules! vocabulary {
    ($($(#[$meta:meta])* $name:ident = $words:ident;)+) => {
        $($(#[$meta])*
        pub fn $name() -> Object {
            one_of($words::ALL.iter().map(|word| word.as_str()))
        })+
    };
}

vocabulary! {
    /// The kinds of goal.
    goal_type = GoalType;
    /// Whether a goal counts.
    goal_status = GoalStatus;
    /// What happens where a goal holds already.
    on_enroll = OnEnroll;
    /// Why an event counted for a goal, or did not.
    reason = Reason;
    /// The kinds of reference.
    reference_kind = ReferenceKind;
    /// Whom an event of a type is about.
    subject = Subject;
    /// Where a workflow stands.
    workflow_status = WorkflowStatus;
    /// Where an enrollment stands.
    enrollment_status = EnrollmentStatus;
    /// Where a scheduled action stands.
    action_status = ActionStatus;
    /// The schemas that keep dead letters.
    dead_letter_schema = DeadLetterSchema;
}

/// Why an enrollment ended; `null` while it has not.
pub fn exit_reason() -> Object {
    let words = ExitReason::ALL.iter().map(|reason| serde_json::Value::from(reason.as_str()));
    let words: Vec<serde_json::Value> = words.chain([serde_json::Value::Null]).collect();
    let either = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(either).enum_values(Some(words)).build()
}

/// The roles that a tenant's API key can have.
pub fn tenant_role() -> Object {
    one_of([Role::Viewer, Role::Editor, Role::Admin].map(|role| role.as_str()))
}

/// How several goals count together.
pub fn goal_logic() -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(MAX_GOALS));
    let at_least = ObjectBuilder::new()
        .property("at_least", number)
        .required("at_least")
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    OneOfBuilder::new()
        .item(one_of(["any", "all"]))
        .item(at_least)
        .description(Some("Whether the first goal met is the exit, the last, or the n-th."))
        .build()
        .into()
}

/// How long after enrollment a goal may be met.
pub fn within() -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]{1,9}[smhdw]$")).build()
}

/// A list, one page of it if `paged`.
pub(super) fn list_of(item: RefOr<Schema>, paged: bool) -> Object {
    let list = ObjectBuilder::new()
        .property("items", ArrayBuilder::new().items(ArrayItems::RefOrSchema(Box::new(item))))
        .required("items");
    if !paged {
        return list.build();
    }
    let next = "Where to go on; absent on the last page.";
    let next = ObjectBuilder::new().schema_type(Type::String).description(Some(next));
    list.property("next_cursor", next).build()
}
