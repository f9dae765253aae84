//! Where ids stand in a request: every parameter of a path or a query is an id of something, or is known to be none.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use uuid::Uuid;

/// What has ids in paths: the word before the id.
const IN_PATHS: [&str; 9] =
    ["tenants", "api-keys", "write-tokens", "workflows", "goals", "event-types", "enrollments", "actions", "erasures"];
/// Parameters of queries that are ids, and of what.
const IN_QUERIES: [(&str, &str); 4] =
    [("contact_id", "contact"), ("object_id", "workflows"), ("tenant_id", "tenants"), ("cursor", "cursor")];
/// Those that are none.
const NO_IDS: [&str; 17] = [
    "limit",
    "status",
    "from",
    "to",
    "fresh",
    "results",
    "kind",
    "name",
    "actor",
    "action",
    "object_type",
    "schema",
    "queue",
    "code",
    "payload",
    "builtin",
    "event_name",
];

/// Ids by what they are of.
#[derive(Clone, Debug, Default)]
pub struct Ids(BTreeMap<String, String>);

impl Ids {
    pub fn of(ids: &[(&str, &str)]) -> Self {
        Self(ids.iter().map(|(of, id)| ((*of).to_owned(), (*id).to_owned())).collect())
    }

    pub fn get(&self, of: &str) -> &str {
        self.0.get(of).unwrap_or_else(|| panic!("there is no id of {of}"))
    }

    pub fn put(&mut self, of: &str, id: &str) {
        self.0.insert(of.to_owned(), id.to_owned());
    }

    /// The same things with ids that nobody has, each of the length and the kind of letters that it had, and none like another.
    pub fn nobodys(&self) -> Self {
        let letters = ('a'..='z').cycle();
        let nobodys = self.0.iter().zip(letters).map(|((of, id), letter)| (of.clone(), nobodys(id, letter)));
        let nobodys = Self(nobodys.collect());
        let distinct: BTreeSet<&String> = self.0.values().chain(nobodys.0.values()).collect();
        assert_eq!(distinct.len(), 2 * self.0.len(), "{self:?} {nobodys:?}");
        nobodys
    }

    /// A text with the ids in it replaced by what they are of.
    pub fn out_of(&self, text: String) -> String {
        let mut ids: Vec<_> = self.0.iter().collect();
        ids.sort_by_key(|(_, id)| std::cmp::Reverse(id.len()));
        ids.into_iter().fold(text, |text, (of, id)| text.replace(id, &format!("{{{of}}}")))
    }
}

fn nobodys(id: &str, letter: char) -> String {
    if id.parse::<Uuid>().is_ok() {
        return Uuid::now_v7().to_string();
    }
    let other = |old: char| match old {
        '0'..='9' => '7',
        'a'..='z' => letter,
        'A'..='Z' => letter.to_ascii_uppercase(),
        other => other,
    };
    id.chars().map(other).collect()
}

/// The place in a list next to the one of `cursor`, where nobody's item is.
pub fn beside(cursor: &str) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
    let id = String::from_utf8(bytes.split_off(8)).unwrap();
    bytes.extend_from_slice(next(&id).as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The id after this one; of several in one, the last is taken for it. A number alone is a place that every tenant has (the audit log
/// counts for each by itself) and no id: it stays.
fn next(id: &str) -> String {
    match (id.parse::<i64>(), id.parse::<Uuid>(), id.split_once('.')) {
        (Ok(number), _, _) => number.to_string(),
        (_, Ok(uuid), _) => Uuid::from_u128(uuid.as_u128() + 1).to_string(),
        (_, _, Some((first, rest))) if first.parse::<Uuid>().is_ok() || first.parse::<i64>().is_ok() => {
            format!("{first}.{}", next(rest))
        }
        _ => format!("{id}~"),
    }
}

/// Where an id stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What it is an id of.
    pub of: &'static str,
    /// The name of the parameter, if it stands in the query.
    query: Option<String>,
}

impl Slot {
    pub fn is_in_query(&self) -> bool {
        self.query.is_some()
    }
}

/// A part of a path that has to be filled: by an id, or by a word that is none.
enum Part {
    Id(&'static str),
    Word(&'static str),
}

/// What `part` of a path stands for; `before` is the part before it.
fn meaning(path: &str, before: &str, part: &str) -> Part {
    match (before, part) {
        ("docs", "{file}") => Part::Word("initializer.js"),
        ("references", "{kind}") => Part::Word("tag"),
        ("{kind}", "{ref_id}") => Part::Id("tag"),
        ("dead-letters", "{schema}") => Part::Word("ingest"),
        ("{schema}", "{id}") => Part::Id("dead-letters"),
        ("identify" | "users", "{user_id}") => Part::Id("user"),
        _ => {
            let of = IN_PATHS.into_iter().find(|of| *of == before);
            Part::Id(of.unwrap_or_else(|| panic!("the walk does not know what {part} of {path} is an id of")))
        }
    }
}

/// The parts of a path, each with what it has to be filled with.
fn parts(path: &str) -> Vec<(&str, Option<Part>)> {
    let mut before = "";
    let meaning = path.split('/').map(|part| {
        let means = part.starts_with('{').then(|| meaning(path, before, part));
        before = part;
        (part, means)
    });
    meaning.collect()
}

/// Every slot of an operation, those of the path first.
pub fn slots(path: &str, parameters: &[&Value]) -> Vec<Slot> {
    let in_path = parts(path).into_iter().filter_map(|(_, means)| match means {
        Some(Part::Id(of)) => Some(Slot { of, query: None }),
        _ => None,
    });
    let in_query = parameters.iter().filter(|parameter| parameter["in"] == "query").filter_map(|parameter| {
        let name = parameter["name"].as_str().unwrap();
        let known = IN_QUERIES.into_iter().find(|(query, _)| *query == name);
        assert!(known.is_some() || NO_IDS.contains(&name), "the walk does not know whether {name} of {path} is an id");
        known.map(|(_, of)| Slot { of, query: Some(name.to_owned()) })
    });
    in_path.chain(in_query).collect()
}

/// The path and the query with `id` in each slot; a query parameter without one is left out.
pub fn filled(path: &str, slots: &[Slot], id: impl Fn(usize) -> Option<String>) -> String {
    let mut in_path = 0;
    let filled: Vec<String> = parts(path)
        .into_iter()
        .map(|(part, means)| match means {
            None => part.to_owned(),
            Some(Part::Word(word)) => word.to_owned(),
            Some(Part::Id(_)) => {
                in_path += 1;
                id(in_path - 1).unwrap()
            }
        })
        .collect();
    let asked =
        slots.iter().enumerate().filter_map(|(index, slot)| Some(format!("{}={}", slot.query.as_ref()?, id(index)?)));
    let asked: Vec<String> = asked.collect();
    let mark = if asked.is_empty() { "" } else { "?" };
    format!("{}{mark}{}", filled.join("/"), asked.join("&"))
}

#[test]
fn a_path_and_a_query_are_filled() {
    let parameters =
        [serde_json::json!({"in": "query", "name": "cursor"}), serde_json::json!({"in": "query", "name": "limit"})];
    let path = "/api/v1/workflows/{id}/goals/{goal_id}";
    let slots = slots(path, &parameters.iter().collect::<Vec<_>>());
    assert_eq!(slots.iter().map(|slot| slot.of).collect::<Vec<_>>(), ["workflows", "goals", "cursor"]);
    let ids = ["w", "g", "c"];
    assert_eq!(filled(path, &slots, |index| Some(ids[index].to_owned())), "/api/v1/workflows/w/goals/g?cursor=c");
    let without = |index: usize| (index < 2).then(|| ids[index].to_owned());
    assert_eq!(filled(path, &slots, without), "/api/v1/workflows/w/goals/g");
}

#[test]
#[should_panic(expected = "does not know what {id} of /api/v1/segments/{id} is an id of")]
fn an_unknown_parameter_of_a_path_stops_the_walk() {
    slots("/api/v1/segments/{id}", &[]);
}

#[test]
#[should_panic(expected = "does not know whether segment_id of /api/v1/listeners is an id")]
fn an_unknown_parameter_of_a_query_stops_the_walk() {
    slots("/api/v1/listeners", &[&serde_json::json!({"in": "query", "name": "segment_id"})]);
}

#[test]
fn nobodys_ids_look_like_those_of_somebody() {
    let of = [
        ("contact", "contact-1"),
        ("form", "contact-2"),
        ("key", "4XG9te"),
        ("tag", "0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1"),
    ];
    let nobodys = Ids::of(&of).nobodys();
    assert_eq!(["contact", "form", "key"].map(|of| nobodys.get(of)), ["aaaaaaa-7", "bbbbbbb-7", "7CC7cc"]);
    assert_ne!(nobodys.get("tag"), of[3].1);
    assert!(nobodys.get("tag").parse::<Uuid>().is_ok());
}

#[test]
fn nobody_has_what_stands_beside() {
    let cursor = |id: &str| URL_SAFE_NO_PAD.encode([&[0; 8], id.as_bytes()].concat());
    assert_eq!(beside(&cursor("41")), cursor("41"));
    assert_eq!(beside(&cursor("tag/a")), cursor("tag/a~"));
    let (event, goal) = ("0199ab3f-0c55-7b0d-9a7e-d1c2b3a49586", "0199ab3c-8a10-7d44-9c1b-0c8e3bfa6f2");
    assert_eq!(beside(&cursor(&format!("{event}.{goal}1"))), cursor(&format!("{event}.{goal}2")));
    assert_eq!(beside(&cursor(&format!("667.2.{goal}1"))), cursor(&format!("667.2.{goal}2")));
    let id = "0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d1";
    assert_eq!(beside(&cursor(id)), cursor("0199ab3c-5f0e-7cc2-8d3f-3f2a51f0a9d2"));
}
