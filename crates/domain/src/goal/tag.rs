//! `tag_added`: a contact got a tag, named by name, id or pattern.

use super::directory::Directory;
use super::fields::{Fields, conflicting, empty, glob};
use super::glob::Glob;
use super::name::{exact_name, fold_name, fold_text};
use super::{Reason, Reference, ReferenceKind};
use crate::fault::Fault;
use crate::json::Json;

/// Which tag is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TagRule {
    Id(String),
    Name { name: String, case_sensitive: bool },
    Pattern { pattern: String, glob: Glob, case_sensitive: bool },
}

impl TagRule {
    pub(super) fn parse(criteria: &Json) -> Result<Self, Fault> {
        const KEYS: [&str; 3] = ["tag_name", "tag_id", "tag_pattern"];
        let fields = Fields::of(criteria, &["tag_name", "tag_id", "tag_pattern", "case_sensitive"])?;
        let case_sensitive = fields.flag("case_sensitive")?;
        let mut given = KEYS.into_iter().filter(|key| fields.value(key).is_some());
        let key = given.next().ok_or_else(empty)?;
        if let Some(other) = given.next() {
            return Err(conflicting(other, format!("give exactly one of {}", KEYS.join(", "))));
        }
        let text = fields.text(key)?.unwrap_or_default();
        match key {
            "tag_id" => {
                let id = fields.id("tag_id")?.unwrap_or_default();
                if case_sensitive {
                    return Err(conflicting("case_sensitive", "has no meaning with tag_id"));
                }
                Ok(TagRule::Id(id))
            }
            "tag_name" => {
                let name = if case_sensitive { exact_name(text) } else { fold_name(text) };
                Ok(TagRule::Name { name, case_sensitive })
            }
            _ => {
                let pattern = if case_sensitive { text.to_owned() } else { fold_text(text) };
                if text.trim() != text {
                    let message = "must not begin or end with white space";
                    return Err(Fault::at(key, "invalid_pattern", message));
                }
                // As written and as compared: folding can make it longer.
                let glob = glob(text).and_then(|_| glob(&pattern)).map_err(|fault| fault.within(key))?;
                Ok(TagRule::Pattern { pattern, glob, case_sensitive })
            }
        }
    }

    pub(super) fn canonical(&self) -> Vec<(&'static str, Json)> {
        let (key, text, case_sensitive) = match self {
            TagRule::Id(id) => ("tag_id", id, false),
            TagRule::Name { name, case_sensitive } => ("tag_name", name, *case_sensitive),
            TagRule::Pattern { pattern, case_sensitive, .. } => ("tag_pattern", pattern, *case_sensitive),
        };
        let mut members = vec![(key, Json::from(text.as_str()))];
        if case_sensitive {
            members.push(("case_sensitive", Json::Bool(true)));
        }
        members
    }

    pub(super) fn references(&self) -> Vec<Reference> {
        match self {
            TagRule::Id(id) => vec![Reference { kind: ReferenceKind::Tag, id: id.clone() }],
            TagRule::Name { .. } | TagRule::Pattern { .. } => Vec::new(),
        }
    }

    /// Resolves ids and names against each other, so that an event may carry either.
    pub(super) fn compile(&self, directory: &Directory) -> TagMatcher {
        let (wanted, mut ids) = match self {
            TagRule::Id(id) => (Wanted::Id { name: directory.tag_name(id).map(fold_name) }, vec![id.clone()]),
            TagRule::Name { name, case_sensitive: false } => {
                (Wanted::Folded(name.clone()), directory.tag_ids(name).to_vec())
            }
            TagRule::Name { name, case_sensitive: true } => {
                let named = directory.tag_ids(&fold_name(name)).iter();
                let exact = named.filter(|id| directory.tag_name(id) == Some(name));
                (Wanted::Exact(name.clone()), exact.cloned().collect())
            }
            TagRule::Pattern { glob, case_sensitive, .. } => {
                let compared = if *case_sensitive { exact_name } else { fold_name };
                let named = directory.tags().filter(|(_, name)| glob.matches(&compared(name)));
                let ids = named.map(|(id, _)| id.to_owned()).collect();
                (Wanted::Glob { glob: glob.clone(), case_sensitive: *case_sensitive }, ids)
            }
        };
        ids.sort_unstable();
        TagMatcher { wanted, ids: ids.into() }
    }
}

/// A tag rule ready to be held against events.
#[derive(Debug, Clone)]
pub(super) struct TagMatcher {
    wanted: Wanted,
    /// Ids of the tags that are wanted, sorted.
    ids: Box<[String]>,
}

#[derive(Debug, Clone)]
enum Wanted {
    /// By id; the folded name stands in when the event carries none.
    Id {
        name: Option<String>,
    },
    Folded(String),
    Exact(String),
    Glob {
        glob: Glob,
        case_sensitive: bool,
    },
}

/// Under what a tag goal is found again.
pub(super) enum TagKeys<'m> {
    /// Folded names and ids.
    Equal { name: Option<String>, ids: &'m [String] },
    /// The literal beginning of folded names (empty when case matters), and ids.
    Prefix { prefix: &'m str, ids: &'m [String] },
}

impl TagMatcher {
    pub(super) fn verdict(&self, properties: &Json) -> Result<(), Reason> {
        let id = properties.get("tag_id").and_then(Json::as_str);
        let name = properties.get("tag_name").and_then(Json::as_str);
        let met = match (&self.wanted, id, name) {
            (_, None, None) => return Err(Reason::TagMissing),
            // What the goal is written in decides; the other one only stands in for it.
            (Wanted::Id { .. }, Some(id), _) | (_, Some(id), None) => self.has_id(id),
            (Wanted::Id { name: wanted }, None, Some(name)) => {
                wanted.as_ref().is_some_and(|wanted| *wanted == fold_name(name))
            }
            (Wanted::Folded(wanted), _, Some(name)) => *wanted == fold_name(name),
            (Wanted::Exact(wanted), _, Some(name)) => *wanted == exact_name(name),
            (Wanted::Glob { glob, case_sensitive: true }, _, Some(name)) => glob.matches(&exact_name(name)),
            (Wanted::Glob { glob, case_sensitive: false }, _, Some(name)) => glob.matches(&fold_name(name)),
        };
        let held_before = properties.get("already_present").and_then(Json::as_bool);
        match (met, held_before) {
            (false, _) => Err(Reason::TagDiffers),
            (true, Some(true)) => Err(Reason::AlreadyPresent),
            (true, _) => Ok(()),
        }
    }

    fn has_id(&self, id: &str) -> bool {
        self.ids.binary_search_by(|known| known.as_str().cmp(id)).is_ok()
    }

    pub(super) fn keys(&self) -> TagKeys<'_> {
        let ids = &self.ids;
        match &self.wanted {
            Wanted::Id { name } => TagKeys::Equal { name: name.clone(), ids },
            Wanted::Folded(name) => TagKeys::Equal { name: Some(name.clone()), ids },
            Wanted::Exact(name) => TagKeys::Equal { name: Some(fold_name(name)), ids },
            Wanted::Glob { case_sensitive: true, .. } => TagKeys::Prefix { prefix: "", ids },
            Wanted::Glob { glob, case_sensitive: false } => TagKeys::Prefix { prefix: glob.prefix(), ids },
        }
    }
}
