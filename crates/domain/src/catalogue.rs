//! The built-in event types: name, category, subject, schema, and which keys its schema names.

use crate::words::words;

words! {
    /// Whom an event of a type is about; decides whether it needs a user, contact or session.
    pub enum Subject as "subject" {
        /// A contact of the CRM.
        Contact = "contact",
        /// An anonymous or hashed visitor.
        User = "user",
        /// The tenant itself: no person is needed.
        Tenant = "tenant",
        /// Nobody.
        None = "none",
    }
}

impl Subject {
    /// Whether an event of this subject must name a user, a contact or a session.
    #[must_use]
    pub const fn needs_person(self) -> bool {
        matches!(self, Subject::Contact | Subject::User)
    }
}

/// One built-in event type.
#[derive(Debug, PartialEq, Eq)]
pub struct EventType {
    pub name: &'static str,
    pub category: &'static str,
    pub subject: Subject,
    /// May come from a browser token.
    pub browser: bool,
    /// Keys that every event of the type carries.
    pub required: &'static [&'static str],
    /// Further keys that the schema names, alternatives included.
    pub optional: &'static [&'static str],
    pub description: &'static str,
    /// The JSON Schema (draft 2020-12) of the properties, as text.
    pub schema: &'static str,
}

impl EventType {
    /// Every key the schema names, required ones first.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.required.iter().chain(self.optional).copied()
    }
}

macro_rules! event_types {
    ($($name:literal, $category:literal, $subject:ident, [$($required:literal),*], [$($optional:literal),*], $description:literal;)+) => {
        static ALL: &[EventType] = &[$(EventType {
            name: $name,
            category: $category,
            subject: Subject::$subject,
            // Only widgets speak about visitors, and only what widgets say may come from a browser.
            browser: matches!(Subject::$subject, Subject::User),
            required: &[$($required),*],
            optional: &[$($optional),*],
            description: $description,
            schema: include_str!(concat!("../../../proto-schemas/events/", $name, ".json")),
        },)+];
    };
}

event_types! {
    "contact.tag.added", "goal", Contact, [], ["tag_name", "tag_id", "already_present"], "A contact got a tag.";
    "payment.completed", "goal", Contact, ["amount"], ["currency", "product_id", "order_id", "quantity"], "A contact paid.";
    "appointment.booked", "goal", Contact, ["calendar_id"], ["service_id", "appointment_id", "starts_at"], "A contact booked an appointment.";
    "form.submitted", "goal", Contact, ["form_id"], [], "A contact submitted a form.";
    "pipeline.stage.changed", "goal", Contact, ["stage_id"], ["pipeline_id", "from_stage_id"], "A contact moved to a stage of a pipeline.";
    "conversation_started", "conversation", None, ["sessionId", "conversationId"], [], "A conversation began.";
    "message_sent", "conversation", None, ["conversationId", "role"], ["confidence"], "The user or the assistant said something.";
    "escalation_triggered", "escalation", None, ["conversationId", "reason"], ["integrationId"], "A conversation was handed to a person.";
    "plan_updated", "billing", Tenant, ["previousPlan", "newPlan", "status"], [], "The tenant changed its plan.";
    "checkout_completed", "billing", Tenant, ["plan", "stripeSessionId"], [], "The tenant paid for a plan.";
    "ingest_started", "ingestion", Tenant, ["sourceType", "url"], [], "The reading of a source began.";
    "ingest_completed", "ingestion", Tenant, ["sourceType", "url", "docs", "chunks"], [], "A source was read to its end.";
    "ingest_failed", "ingestion", Tenant, ["sourceType", "url", "errorCode"], [], "The reading of a source failed.";
    "integration_failed", "integrations", Tenant, ["integrationId", "type", "errorCode"], [], "A call to an integration failed.";
    "integration_succeeded", "integrations", Tenant, ["integrationId", "type"], [], "A call to an integration succeeded.";
    "quota_exceeded", "limits", Tenant, ["quotaType", "limit", "attempted"], [], "The tenant went over a quota.";
    "widget_loaded", "widget", User, [], [], "The widget was loaded.";
    "widget_seen", "widget", User, [], [], "The widget came into view.";
    "widget_opened", "widget", User, [], [], "The widget was opened.";
    "widget_minimized", "widget", User, [], [], "The widget was made small.";
    "cta_clicked", "widget", User, [], [], "A call to action was clicked.";
    "prechat_completed", "widget", User, [], [], "The form before a chat was filled in.";
    "page_viewed", "widget", User, [], [], "A page was looked at.";
    "widget_error", "widget", User, [], [], "The widget met an error.";
}

/// Every built-in type.
#[must_use]
pub fn all() -> &'static [EventType] {
    ALL
}

/// The built-in type of that name.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static EventType> {
    ALL.iter().find(|event_type| event_type.name == name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::json::{Json, Limits};

    #[test]
    fn names_are_unique_and_found() {
        assert_eq!(all().len(), 24);
        for event_type in all() {
            assert!(std::ptr::eq(builtin(event_type.name).unwrap(), event_type));
        }
        assert!(builtin("trial_started").is_none());
    }

    #[test]
    fn only_widget_types_may_come_from_a_browser() {
        for event_type in all() {
            assert_eq!(event_type.browser, event_type.category == "widget", "{}", event_type.name);
        }
    }

    #[test]
    fn schemas_name_exactly_the_keys_of_the_table() {
        for event_type in all() {
            let schema = Json::parse(event_type.schema, &Limits::WIRE).unwrap();
            assert_eq!(schema.get("title").unwrap().as_str(), Some(event_type.name));
            let listed = |key: &str| -> Vec<String> {
                let list = schema.get(key).and_then(Json::as_array).unwrap_or_default();
                list.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
            };
            assert_eq!(listed("required"), event_type.required, "{}", event_type.name);
            let mut named: Vec<&str> = schema
                .get("properties")
                .and_then(Json::as_object)
                .unwrap_or_default()
                .iter()
                .map(|(key, _)| key.as_str())
                .collect();
            let mut keys: Vec<&str> = event_type.keys().collect();
            named.sort_unstable();
            keys.sort_unstable();
            assert_eq!(named, keys, "{}", event_type.name);
            assert!(schema.get("additionalProperties").is_none(), "built-in schemas are open");
        }
    }
}
