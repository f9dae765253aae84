#![doc = include_str!("../README.md")]

pub mod action;
pub mod audit;
pub mod catalogue;
pub mod contract;
pub mod credential;
pub mod dead_letter;
pub mod enrollment;
pub mod event;
pub mod exit;
pub mod fault;
pub mod goal;
pub mod ids;
pub mod json;
pub mod money;
pub mod number;
pub mod once;
pub mod origin;
pub mod outbox;
pub mod privacy;
#[cfg(test)]
mod table;
pub mod time_format;
pub mod words;
pub mod workflow;
