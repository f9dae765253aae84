//! The reference directory as goals are compiled against it: tags by id and name, stages by pipeline.

use std::collections::HashMap;

use super::name::{exact_name, fold_name};

/// What is known of a tenant's tags and pipelines.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// Tag id to its name, trimmed and normalised.
    tags: HashMap<String, String>,
    /// Folded name to the ids of the tags that have it.
    tag_ids: HashMap<String, Vec<String>>,
    stages: HashMap<String, Stage>,
    /// Pipeline to its stages.
    pipelines: HashMap<String, Vec<String>>,
}

#[derive(Debug, Clone)]
struct Stage {
    pipeline_id: String,
    position: Option<i32>,
}

impl Directory {
    /// Adds a tag. Call once per tag.
    pub fn add_tag(&mut self, id: &str, name: &str) {
        self.tags.insert(id.to_owned(), exact_name(name));
        self.tag_ids.entry(fold_name(name)).or_default().push(id.to_owned());
    }

    /// Adds a stage of a pipeline; without a position it stands outside the pipeline's order. Call once
    /// per stage.
    pub fn add_stage(&mut self, id: &str, pipeline_id: &str, position: Option<i32>) {
        self.stages.insert(id.to_owned(), Stage { pipeline_id: pipeline_id.to_owned(), position });
        self.pipelines.entry(pipeline_id.to_owned()).or_default().push(id.to_owned());
    }

    /// The name of a tag, trimmed and normalised.
    pub(super) fn tag_name(&self, id: &str) -> Option<&str> {
        self.tags.get(id).map(String::as_str)
    }

    /// The ids of tags with this folded name.
    pub(super) fn tag_ids(&self, folded: &str) -> &[String] {
        self.tag_ids.get(folded).map_or(&[], Vec::as_slice)
    }

    /// Every tag: id and name.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tags.iter().map(|(id, name)| (id.as_str(), name.as_str()))
    }

    /// The pipeline a stage belongs to.
    pub(super) fn pipeline_of(&self, stage_id: &str) -> Option<&str> {
        self.stages.get(stage_id).map(|stage| stage.pipeline_id.as_str())
    }

    /// The stage and those that follow it in its pipeline's order; only itself when it has no place there.
    pub(super) fn at_or_beyond(&self, stage_id: &str) -> Vec<String> {
        let placed = self.stages.get(stage_id).and_then(|stage| Some((stage, stage.position?)));
        let Some((stage, from)) = placed else {
            return vec![stage_id.to_owned()];
        };
        let siblings = self.pipelines.get(&stage.pipeline_id).map_or(&[][..], Vec::as_slice);
        let beyond = |id: &&String| {
            self.stages.get(*id).is_some_and(|other| {
                other.pipeline_id == stage.pipeline_id && other.position.is_some_and(|position| position >= from)
            })
        };
        let mut stages: Vec<String> = siblings.iter().filter(beyond).cloned().collect();
        stages.sort_unstable();
        stages.dedup();
        stages
    }
}
