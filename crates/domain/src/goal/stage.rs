//! `pipeline_stage_reached`: a contact entered a stage, or one at or beyond it.

use super::directory::Directory;
use super::fields::{Fields, empty};
use super::{Reason, Reference, ReferenceKind};
use crate::fault::Fault;
use crate::json::Json;

/// Which stage is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StageRule {
    stage_id: String,
    pipeline_id: Option<String>,
    at_or_beyond: bool,
}

impl StageRule {
    pub(super) fn parse(criteria: &Json) -> Result<Self, Fault> {
        let fields = Fields::of(criteria, &["stage_id", "pipeline_id", "at_or_beyond"])?;
        let at_or_beyond = fields.flag("at_or_beyond")?;
        let pipeline_id = fields.id("pipeline_id")?;
        let Some(stage_id) = fields.id("stage_id")? else {
            return Err(match pipeline_id {
                Some(_) => Fault::at("stage_id", "missing_field", "stage_id is required"),
                None => empty(),
            });
        };
        Ok(StageRule { stage_id, pipeline_id, at_or_beyond })
    }

    pub(super) fn canonical(&self) -> Vec<(&'static str, Json)> {
        let mut members = vec![("stage_id", Json::from(self.stage_id.as_str()))];
        if let Some(pipeline_id) = &self.pipeline_id {
            members.push(("pipeline_id", Json::from(pipeline_id.as_str())));
        }
        if self.at_or_beyond {
            members.push(("at_or_beyond", Json::Bool(true)));
        }
        members
    }

    pub(super) fn references(&self) -> Vec<Reference> {
        let pipeline = self.pipeline_id.iter().map(|id| Reference { kind: ReferenceKind::Pipeline, id: id.clone() });
        let stage = Reference { kind: ReferenceKind::Stage, id: self.stage_id.clone() };
        pipeline.chain([stage]).collect()
    }

    pub(super) fn compile(&self, directory: &Directory) -> StageMatcher {
        let stages =
            if self.at_or_beyond { directory.at_or_beyond(&self.stage_id) } else { vec![self.stage_id.clone()] };
        StageMatcher {
            stages: stages.into(),
            pipeline_id: self.pipeline_id.clone(),
            // All stages that count belong to the pipeline of the one that is named.
            known_pipeline_id: directory.pipeline_of(&self.stage_id).map(str::to_owned),
        }
    }
}

/// A stage rule ready to be held against events.
#[derive(Debug, Clone)]
pub(super) struct StageMatcher {
    /// Sorted; at least one.
    stages: Box<[String]>,
    pipeline_id: Option<String>,
    /// What the directory says for events that name no pipeline.
    known_pipeline_id: Option<String>,
}

impl StageMatcher {
    pub(super) fn verdict(&self, properties: &Json) -> Result<(), Reason> {
        let text = |key: &str| properties.get(key).and_then(Json::as_str);
        let stage = text("stage_id").ok_or(Reason::StageDiffers)?;
        if self.stages.binary_search_by(|known| known.as_str().cmp(stage)).is_err() {
            return Err(Reason::StageDiffers);
        }
        if let Some(wanted) = &self.pipeline_id {
            let pipeline = text("pipeline_id").or(self.known_pipeline_id.as_deref());
            if pipeline != Some(wanted) {
                return Err(Reason::PipelineDiffers);
            }
        }
        if text("from_stage_id") == Some(stage) {
            return Err(Reason::StageNotEntered);
        }
        Ok(())
    }

    pub(super) fn stages(&self) -> &[String] {
        &self.stages
    }
}
