//! Random criteria and events over small alphabets, so that they meet often; and their JSON.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};

use crate::oracle::{Condition, Logic, Purchase, Value, Wish};

const PRODUCTS: [&str; 2] = ["p1", "p2"];
const FORMS: [&str; 2] = ["f1", "f2"];
const CALENDARS: [&str; 2] = ["c1", "c2"];
const SERVICES: [&str; 2] = ["v1", "v2"];
/// Property and operator of conditions: `n` is a number, `k` of any kind.
const TESTS: [(&str, &str); 12] = [
    ("n", "eq"),
    ("n", "gt"),
    ("n", "gte"),
    ("n", "lt"),
    ("n", "lte"),
    ("n", "exists"),
    ("k", "eq"),
    ("k", "ne"),
    ("k", "in"),
    ("k", "exists"),
    ("k", "prefix"),
    ("k", "glob"),
];
const CUSTOM: [&str; 2] = ["trial.started", "form.submitted"];

/// Everything that criteria may point at beside tags and stages: kind and id.
pub const OTHER_REFERENCES: [(&str, &[&str]); 5] = [
    ("product", &PRODUCTS),
    ("form", &FORMS),
    ("calendar", &CALENDARS),
    ("service", &SERVICES),
    ("pipeline", &["p", "q"]),
];

fn one<T: Clone>(rng: &mut impl Rng, of: &[T]) -> T {
    of.choose(rng).unwrap().clone()
}

fn maybe<T: Clone>(rng: &mut StdRng, share: f64, of: &[T]) -> Option<T> {
    rng.random_bool(share).then(|| one(rng, of))
}

pub fn any_logic(rng: &mut StdRng) -> Logic {
    one(rng, &[Logic::Any, Logic::Any, Logic::All, Logic::All, Logic::AtLeast(1), Logic::AtLeast(2), Logic::AtLeast(3)])
}

/// Criteria of any of the six types.
pub fn any_wish(rng: &mut StdRng) -> Wish {
    match rng.random_range(0..6) {
        0 => match rng.random_range(0..3) {
            0 => Wish::TagName { name: one(rng, &["VIP", "vip", "New", "gold"]), exact: rng.random_bool(0.3) },
            1 => {
                Wish::TagPattern { pattern: one(rng, &["vi*", "V*", "*p", "?ew", "*-*"]), exact: rng.random_bool(0.3) }
            }
            _ => Wish::TagId(one(rng, &["t1", "t2", "t3"])),
        },
        1 => Wish::Purchase(any_purchase(rng)),
        2 => Wish::Appointment { calendar: maybe(rng, 0.5, &CALENDARS), service: maybe(rng, 0.4, &SERVICES) },
        3 => Wish::Form(one(rng, &[vec![], vec![FORMS[0]], vec![FORMS[1]], FORMS.to_vec()])),
        4 => {
            let (stage, pipeline) = one(rng, &[("s1", "p"), ("s2", "p"), ("s3", "p"), ("lost", "p"), ("s4", "q")]);
            Wish::Stage { stage, pipeline: maybe(rng, 0.4, &[pipeline]), beyond: rng.random_bool(0.5) }
        }
        _ => {
            let conditions = (0..rng.random_range(0..3)).map(|_| any_condition(rng)).collect();
            Wish::Custom { name: one(rng, &CUSTOM), conditions }
        }
    }
}

fn any_purchase(rng: &mut StdRng) -> Purchase {
    Purchase {
        products: one(rng, &[vec![], vec![], vec![PRODUCTS[0]], PRODUCTS.to_vec()]),
        min: maybe(rng, 0.5, &[1_000, 9_999, 10_000]),
        max: maybe(rng, 0.2, &[10_000, 15_000]),
        currency: maybe(rng, 0.2, &["USD", "EUR"]),
    }
}

fn any_condition(rng: &mut StdRng) -> Condition {
    let number = |rng: &mut StdRng| Value::Hundredths(one(rng, &[-100, 0, 100, 150, 200]));
    let text = |rng: &mut StdRng, of: &[&str]| Value::Text(one(rng, of).to_owned());
    let (property, op) = one(rng, &TESTS);
    let values = match (property, op) {
        (_, "exists") => vec![Value::Bool(rng.random_bool(0.5))],
        ("n", _) => vec![number(rng)],
        (_, "prefix") => vec![text(rng, &["x", "xy"])],
        (_, "glob") => vec![text(rng, &["x*", "*y", "x?"])],
        (_, "in") => vec![text(rng, &["x", "xy"]), number(rng), Value::Bool(true)],
        _ => vec![text(rng, &["x", "xy"])],
    };
    Condition { property, op, values }
}

/// The name and the properties of an event.
pub fn any_deed(rng: &mut StdRng) -> (&'static str, Vec<(&'static str, Value)>) {
    let text = |text: &str| Value::Text(text.to_owned());
    match rng.random_range(0..6) {
        0 => ("contact.tag.added", any_tag(rng)),
        1 => {
            let amount = match rng.random_range(0..8) {
                0 => text(one(rng, &["100.00", "150.00", "0.00", "-5.00"])),
                _ => Value::Hundredths(one(rng, &[0, -500, 500, 1_000, 9_999, 10_000, 10_001, 15_000])),
            };
            let mut properties = vec![("amount", amount)];
            properties.extend(maybe(rng, 0.3, &["USD", "usd", "EUR"]).map(|it| ("currency", text(it))));
            properties.extend(maybe(rng, 0.6, &["p1", "p2", "p3"]).map(|it| ("product_id", text(it))));
            ("payment.completed", properties)
        }
        2 => {
            let mut properties = Vec::new();
            properties.extend(maybe(rng, 0.8, &CALENDARS).map(|it| ("calendar_id", text(it))));
            properties.extend(maybe(rng, 0.6, &SERVICES).map(|it| ("service_id", text(it))));
            ("appointment.booked", properties)
        }
        3 => {
            let mut properties = vec![("form_id", text(one(rng, &["f1", "f2", "f3"])))];
            properties.extend(any_extras(rng));
            ("form.submitted", properties)
        }
        4 => {
            let (stage, pipeline) = one(rng, &[("s1", "p"), ("s2", "p"), ("s3", "p"), ("lost", "p"), ("s4", "q")]);
            let mut properties = vec![("stage_id", text(stage))];
            properties.extend(maybe(rng, 0.3, &[pipeline, "q"]).map(|it| ("pipeline_id", text(it))));
            properties.extend(maybe(rng, 0.4, &["s1", "s2", "s3"]).map(|it| ("from_stage_id", text(it))));
            ("pipeline.stage.changed", properties)
        }
        _ => (CUSTOM[0], any_extras(rng)),
    }
}

fn any_tag(rng: &mut StdRng) -> Vec<(&'static str, Value)> {
    let mut properties = match rng.random_range(0..3) {
        0 => vec![("tag_id", Value::Text(one(rng, &["t1", "t2", "t3", "t9"]).to_owned()))],
        1 => {
            let (id, name) = one(rng, &crate::oracle::TAGS);
            vec![("tag_id", Value::Text(id.to_owned())), ("tag_name", Value::Text(name.to_owned()))]
        }
        _ => vec![("tag_name", Value::Text(one(rng, &["VIP", " vip", "New", "Gold", "VIP-9"]).to_owned()))],
    };
    properties.extend(maybe(rng, 0.15, &[true, false]).map(|held| ("already_present", Value::Bool(held))));
    properties
}

fn any_extras(rng: &mut StdRng) -> Vec<(&'static str, Value)> {
    let mut properties = Vec::new();
    properties.extend(maybe(rng, 0.7, &[-100, 0, 100, 150, 200]).map(|it| ("n", Value::Hundredths(it))));
    let texts = [Value::Text("x".to_owned()), Value::Text("xy".to_owned()), Value::Hundredths(100), Value::Bool(true)];
    properties.extend(maybe(rng, 0.7, &texts).map(|it| ("k", it)));
    properties
}

impl Value {
    fn json(&self) -> String {
        match self {
            Value::Hundredths(number) if number % 100 == 0 => (number / 100).to_string(),
            Value::Hundredths(number) => {
                let sign = if *number < 0 { "-" } else { "" };
                format!("{sign}{}.{:02}", number.abs() / 100, number.abs() % 100)
            }
            Value::Text(text) => quoted(text),
            Value::Bool(value) => value.to_string(),
        }
    }
}

fn quoted(text: &str) -> String {
    assert!(!text.contains(['"', '\\']), "{text}");
    format!("\"{text}\"")
}

fn object(members: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let members: Vec<String> = members.into_iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
    format!("{{{}}}", members.join(", "))
}

fn list(of: &[&str]) -> String {
    let items: Vec<String> = of.iter().map(|text| quoted(text)).collect();
    format!("[{}]", items.join(", "))
}

/// The properties of an event.
pub fn properties_json(properties: &[(&'static str, Value)]) -> String {
    object(properties.iter().map(|(key, value)| (*key, value.json())))
}

impl Logic {
    pub fn json(self) -> String {
        match self {
            Logic::Any => quoted("any"),
            Logic::All => quoted("all"),
            Logic::AtLeast(count) => format!("{{\"at_least\": {count}}}"),
        }
    }
}

impl Wish {
    pub fn goal_type(&self) -> &'static str {
        match self {
            Wish::TagName { .. } | Wish::TagPattern { .. } | Wish::TagId(_) => "tag_added",
            Wish::Purchase(_) => "purchase_made",
            Wish::Appointment { .. } => "appointment_booked",
            Wish::Form(_) => "form_submitted",
            Wish::Stage { .. } => "pipeline_stage_reached",
            Wish::Custom { .. } => "custom_event",
        }
    }

    /// The type of the events that it waits for.
    pub fn event_name(&self) -> &'static str {
        match self {
            Wish::TagName { .. } | Wish::TagPattern { .. } | Wish::TagId(_) => "contact.tag.added",
            Wish::Purchase(_) => "payment.completed",
            Wish::Appointment { .. } => "appointment.booked",
            Wish::Form(_) => "form.submitted",
            Wish::Stage { .. } => "pipeline.stage.changed",
            Wish::Custom { name, .. } => name,
        }
    }

    /// One text for all that mean the same.
    pub fn canonical(&self) -> String {
        let json = match self {
            Wish::TagName { exact: false, .. } | Wish::TagPattern { exact: false, .. } => {
                self.json().to_ascii_lowercase()
            }
            Wish::Custom { name, conditions } => {
                let mut conditions: Vec<String> = conditions.iter().map(Condition::json).collect();
                conditions.sort();
                conditions.dedup();
                format!("{name} {conditions:?}")
            }
            _ => self.json(),
        };
        format!("{} {json}", self.goal_type())
    }

    /// The criteria as they are given to Goalpost.
    pub fn json(&self) -> String {
        let tag = |key, text: &str, exact: bool| {
            let exact = exact.then(|| ("case_sensitive", "true".to_owned()));
            object([(key, quoted(text))].into_iter().chain(exact))
        };
        match self {
            Wish::TagName { name, exact } => tag("tag_name", name, *exact),
            Wish::TagPattern { pattern, exact } => tag("tag_pattern", pattern, *exact),
            Wish::TagId(id) => tag("tag_id", id, false),
            Wish::Purchase(purchase) => purchase.json(),
            Wish::Appointment { calendar: None, service: None } => object([("any_appointment", "true".to_owned())]),
            Wish::Appointment { calendar, service } => object(
                [("calendar_id", calendar), ("service_id", service)]
                    .into_iter()
                    .filter_map(|(key, id)| Some((key, quoted((*id)?)))),
            ),
            Wish::Form(forms) if forms.is_empty() => object([("any_form", "true".to_owned())]),
            Wish::Form(forms) => object([("form_ids", list(forms))]),
            Wish::Stage { stage, pipeline, beyond } => {
                let pipeline = pipeline.map(|id| ("pipeline_id", quoted(id)));
                let beyond = beyond.then(|| ("at_or_beyond", "true".to_owned()));
                object([("stage_id", quoted(stage))].into_iter().chain(pipeline).chain(beyond))
            }
            Wish::Custom { name, conditions } => {
                let conditions: Vec<String> = conditions.iter().map(Condition::json).collect();
                object([("event_name", quoted(name)), ("where", format!("[{}]", conditions.join(", ")))])
            }
        }
    }
}

impl Purchase {
    fn json(&self) -> String {
        if *self == Purchase::default() {
            return object([("any_purchase", "true".to_owned())]);
        }
        let products = (!self.products.is_empty()).then(|| ("product_ids", list(&self.products)));
        let amount = |amount: Option<i64>| amount.map(|amount| Value::Hundredths(amount).json());
        let others = [
            ("min_amount", amount(self.min)),
            ("max_amount", amount(self.max)),
            ("currency", self.currency.map(quoted)),
        ];
        object(products.into_iter().chain(others.into_iter().filter_map(|(key, value)| Some((key, value?)))))
    }
}

impl Condition {
    fn json(&self) -> String {
        let values: Vec<String> = self.values.iter().map(Value::json).collect();
        let value = if self.op == "in" { format!("[{}]", values.join(", ")) } else { values[0].clone() };
        object([("property", quoted(self.property)), ("op", quoted(self.op)), ("value", value)])
    }
}
