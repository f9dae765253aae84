//! Browser tokens: public by nature, since they stand in web pages. What may come with one is what whoever reads the page may as well make up.

use domain::catalogue;
use domain::event::Event;
use domain::fault::Fault;
use domain::origin::OriginPattern;
use time::{Duration, OffsetDateTime};

use crate::own_types::OwnTypes;

/// An event that is older is not taken: pages send what happens, and no history.
const MAX_AGE: Duration = Duration::days(7);

/// Whether pages of this origin may use a token of these origins. Browsers name the origin with every POST to another one, so what
/// names none is no such page.
pub fn is_admitted(origins: &[OriginPattern], origin: Option<&str>) -> bool {
    origin.is_some_and(|origin| origins.iter().any(|pattern| pattern.admits(origin)))
}

/// Whether an event may come from a browser: its type is marked so or is none that is known, and it names no contact, in whose name it
/// could reach a goal.
pub fn check(event: &Event, own_types: &OwnTypes) -> Result<(), Fault> {
    let name = event.event_name.as_str();
    let marked = catalogue::builtin(name).map(|built_in| built_in.browser).or_else(|| own_types.is_for_browsers(name));
    if marked == Some(false) {
        return Err(Fault::at(
            "event_name",
            "not_allowed_from_browser",
            "events of this type do not come from browsers",
        ));
    }
    if event.contact_id.is_some() {
        return Err(Fault::at("contact_id", "not_allowed_from_browser", "a browser speaks for no contact"));
    }
    Ok(())
}

/// Whether an event of this time is history by now.
pub fn is_too_old(event_time: OffsetDateTime, received_at: OffsetDateTime) -> bool {
    received_at - event_time > MAX_AGE
}
