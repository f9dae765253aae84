//! The specification of goals once more, in types of its own and without a walk: everything is looked at at once. Shares
//! nothing with the judge; knows the few tags and stages of its own small world, and ASCII only.

/// An id of an event or a goal.
pub type Id = u128;
/// Microseconds since 1970.
pub type Moment = i64;

/// The tags that the directory knows: id and name.
pub const TAGS: [(&str, &str); 3] = [("t1", "VIP"), ("t2", " vip "), ("t3", "New")];
/// The stages that it knows: id, pipeline, place in the pipeline's order.
pub const STAGES: [(&str, &str, Option<i64>); 5] =
    [("s1", "p", Some(1)), ("s2", "p", Some(2)), ("s3", "p", Some(3)), ("s4", "q", Some(9)), ("lost", "p", None)];
/// What amounts are in that name no currency.
pub const CURRENCY: &str = "USD";

/// The value of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Hundredths(i64),
    Text(String),
    Bool(bool),
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: Id,
    pub name: &'static str,
    pub properties: Vec<(&'static str, Value)>,
    pub at: Moment,
    pub received_at: Moment,
}

/// The criteria of a goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    TagName { name: &'static str, exact: bool },
    TagPattern { pattern: &'static str, exact: bool },
    TagId(&'static str),
    Purchase(Purchase),
    Appointment { calendar: Option<&'static str>, service: Option<&'static str> },
    Form(Vec<&'static str>),
    Stage { stage: &'static str, pipeline: Option<&'static str>, beyond: bool },
    Custom { name: &'static str, conditions: Vec<Condition> },
}

/// Which purchase; all at once. Nothing given: any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purchase {
    pub products: Vec<&'static str>,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub currency: Option<&'static str>,
}

/// One condition of a custom goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub property: &'static str,
    pub op: &'static str,
    pub values: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    pub id: Id,
    pub wish: Wish,
    pub within: Option<Moment>,
    pub position: i16,
    pub version: i32,
    pub created_at: Moment,
    pub effective_from: Option<Moment>,
    pub active: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logic {
    Any,
    All,
    AtLeast(u8),
}

/// A workflow with the goals that are not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    pub live: bool,
    pub logic: Logic,
    pub goals: Vec<Goal>,
}

/// An enrollment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    pub enrolled_at: Moment,
    pub created_at: Moment,
    /// Goals met before, and when.
    pub already: Vec<(Id, Moment)>,
    /// The end of the passage before this one.
    pub closed_before: Option<Moment>,
    /// What was credited to the passages before this one.
    pub credited: Vec<Id>,
    pub active: bool,
}

/// What has to come of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    pub achieved: Vec<Achieved>,
    pub exit: Option<Exit>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Achieved {
    pub goal: Id,
    pub version: i32,
    pub event: Id,
    pub at: Moment,
    pub also: Vec<Id>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The goal that completed the set; none where achievements of before are enough.
    pub completing: Option<Id>,
    pub reached_at: Moment,
}

impl Workflow {
    /// The active goals, those first that are credited first.
    fn active(&self) -> Vec<&Goal> {
        let mut active: Vec<&Goal> = self.goals.iter().filter(|goal| goal.active).collect();
        active.sort_by_key(|goal| (goal.position, goal.created_at, goal.id));
        active
    }

    /// Whether an event makes anybody look.
    pub fn is_met_by(&self, event: &Event) -> bool {
        self.live && self.goals.iter().any(|goal| goal.active && meets(&goal.wish, event))
    }
}

/// Whether an event counts for a goal.
pub fn counts(passage: &Passage, goal: &Goal, event: &Event) -> bool {
    let elapsed = event.at - passage.enrolled_at;
    goal.active
        && meets(&goal.wish, event)
        && elapsed >= 0
        && goal.within.is_none_or(|within| elapsed < within)
        && passage.closed_before.is_none_or(|end| end <= event.at)
        && !passage.credited.contains(&event.id)
        && goal.effective_from.is_none_or(|from| from <= event.received_at || from <= passage.created_at)
}

/// What comes of everything that is stored.
pub fn decide(passage: &Passage, workflow: &Workflow, stored: &[Event]) -> Decision {
    let active = workflow.active();
    if active.is_empty() || !workflow.live || !passage.active {
        return Decision::default();
    }
    let required = match workflow.logic {
        Logic::Any => 1,
        Logic::All => active.len(),
        Logic::AtLeast(count) => active.len().min(count.into()),
    };
    let is_asked = |id: Id| active.iter().any(|goal| goal.id == id);
    let earlier = passage.already.iter().filter(|(goal, _)| workflow.logic == Logic::Any || is_asked(*goal));
    let earlier: Vec<Moment> = earlier.map(|(_, at)| *at).collect();
    if earlier.len() >= required {
        let reached_at = earlier.into_iter().max().unwrap();
        return Decision { achieved: Vec::new(), exit: Some(Exit { completing: None, reached_at }) };
    }
    // For each goal that is open the first event that counts; these by time, id, and rank of the goal.
    let first = |goal: &Goal| {
        let counting = stored.iter().filter(|event| counts(passage, goal, event));
        counting.min_by_key(|event| (event.at, event.id))
    };
    let open = active.iter().enumerate().filter(|(_, goal)| passage.already.iter().all(|(id, _)| *id != goal.id));
    let mut firsts: Vec<(&Event, usize)> = open.filter_map(|(rank, goal)| Some((first(goal)?, rank))).collect();
    firsts.sort_by_key(|(event, rank)| (event.at, event.id, *rank));

    let missing = required - earlier.len();
    let Some((last, completing)) = firsts.get(missing - 1).copied() else {
        return Decision { achieved: firsts.iter().map(|it| achieved(active[it.1], it.0, &[])).collect(), exit: None };
    };
    firsts.retain(|(event, _)| (event.at, event.id) <= (last.at, last.id));
    let exit = |at: &[Moment]| {
        let reached_at = earlier.iter().chain(at).copied().max().unwrap();
        Some(Exit { completing: Some(active[completing].id), reached_at })
    };
    if workflow.logic == Logic::Any {
        let also: Vec<Id> = firsts[1..].iter().map(|(_, rank)| active[*rank].id).collect();
        return Decision { achieved: vec![achieved(active[completing], last, &also)], exit: exit(&[last.at]) };
    }
    let at: Vec<Moment> = firsts.iter().map(|(event, _)| event.at).collect();
    Decision { achieved: firsts.iter().map(|it| achieved(active[it.1], it.0, &[])).collect(), exit: exit(&at) }
}

fn achieved(goal: &Goal, event: &Event, also: &[Id]) -> Achieved {
    Achieved { goal: goal.id, version: goal.version, event: event.id, at: event.at, also: also.to_vec() }
}

impl Event {
    fn value(&self, key: &str) -> Option<&Value> {
        self.properties.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.value(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number, or a text that is one.
    fn hundredths(&self, key: &str) -> Option<i64> {
        match self.value(key)? {
            Value::Hundredths(number) => Some(*number),
            Value::Text(text) => hundredths_of(text),
            Value::Bool(_) => None,
        }
    }
}

fn hundredths_of(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "00"));
    (fraction.len() == 2).then_some(())?;
    Some(whole.parse::<i64>().ok()? * 100 + fraction.parse::<i64>().ok()?)
}

/// Whether an event meets criteria, whatever its time.
pub fn meets(wish: &Wish, event: &Event) -> bool {
    if event.name != wish.event_name() {
        return false;
    }
    let is = |key: &str, wanted: Option<&str>| wanted.is_none_or(|wanted| event.text(key) == Some(wanted));
    match wish {
        Wish::TagName { .. } | Wish::TagPattern { .. } | Wish::TagId(_) => meets_tag(wish, event),
        Wish::Purchase(purchase) => meets_purchase(purchase, event),
        Wish::Appointment { calendar, service } => is("calendar_id", *calendar) && is("service_id", *service),
        Wish::Form(forms) => forms.is_empty() || forms.iter().any(|form| event.text("form_id") == Some(form)),
        Wish::Stage { stage, pipeline, beyond } => meets_stage(event, stage, *pipeline, *beyond),
        Wish::Custom { conditions, .. } => conditions.iter().all(|condition| meets_condition(condition, event)),
    }
}

fn meets_tag(wish: &Wish, event: &Event) -> bool {
    let folded = |name: &str| name.trim().to_ascii_lowercase();
    let fits = |name: &str| match wish {
        Wish::TagName { name: wanted, exact: true } => name.trim() == *wanted,
        Wish::TagName { name: wanted, exact: false } => folded(name) == folded(wanted),
        Wish::TagPattern { pattern, exact: true } => globs(pattern.as_bytes(), name.trim().as_bytes()),
        Wish::TagPattern { pattern, .. } => globs(folded(pattern).as_bytes(), folded(name).as_bytes()),
        Wish::TagId(id) => TAGS.iter().any(|tag| tag.0 == *id && folded(tag.1) == folded(name)),
        _ => false,
    };
    let known = |id: &str| TAGS.iter().find(|tag| tag.0 == id).is_some_and(|tag| fits(tag.1));
    let is_that = match (wish, event.text("tag_id"), event.text("tag_name")) {
        (Wish::TagId(wanted), Some(id), _) => *wanted == id,
        (_, _, Some(name)) => fits(name),
        (_, Some(id), None) => known(id),
        (_, None, None) => false,
    };
    is_that && event.value("already_present") != Some(&Value::Bool(true))
}

/// `*` is anything, `?` is one character.
fn globs(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skipped| globs(rest, &text[skipped..])),
        Some((b'?', rest)) => !text.is_empty() && globs(rest, &text[1..]),
        Some((byte, rest)) => text.first() == Some(byte) && globs(rest, &text[1..]),
    }
}

fn meets_purchase(wanted: &Purchase, event: &Event) -> bool {
    let Some(amount) = event.hundredths("amount").filter(|amount| *amount > 0) else {
        return false;
    };
    let paid_in = event.text("currency").map_or(CURRENCY.to_owned(), str::to_ascii_uppercase);
    let is_bound = wanted.min.is_some() || wanted.max.is_some() || wanted.currency.is_some();
    (wanted.products.is_empty() || wanted.products.iter().any(|product| event.text("product_id") == Some(product)))
        && (!is_bound || paid_in == wanted.currency.unwrap_or(CURRENCY))
        && wanted.min.is_none_or(|min| amount >= min)
        && wanted.max.is_none_or(|max| amount <= max)
}

fn meets_stage(event: &Event, wanted: &str, pipeline: Option<&str>, beyond: bool) -> bool {
    let known = |id: &str| STAGES.iter().find(|stage| stage.0 == id);
    let Some(entered) = event.text("stage_id") else {
        return false;
    };
    let follows = match (known(wanted), known(entered)) {
        (Some((_, one, Some(from))), Some((_, other, Some(place)))) => one == other && from <= place,
        _ => false,
    };
    let its_pipeline = event.text("pipeline_id").or(known(entered).map(|stage| stage.1));
    (entered == wanted || (beyond && follows))
        && (pipeline.is_none() || its_pipeline == pipeline)
        && event.text("from_stage_id") != Some(entered)
}

fn meets_condition(condition: &Condition, event: &Event) -> bool {
    let wanted = &condition.values[0];
    if condition.op == "exists" {
        return *wanted == Value::Bool(event.value(condition.property).is_some());
    }
    let Some(value) = event.value(condition.property) else {
        return false;
    };
    let compared = event.hundredths(condition.property).zip(match wanted {
        Value::Hundredths(number) => Some(*number),
        _ => None,
    });
    let ordered = |holds: fn(&i64, &i64) -> bool| compared.is_some_and(|(value, wanted)| holds(&value, &wanted));
    let texts = match (value, wanted) {
        (Value::Text(value), Value::Text(wanted)) => Some((value.as_str(), wanted.as_str())),
        _ => None,
    };
    match condition.op {
        "eq" | "in" => condition.values.contains(value),
        "ne" => value != wanted,
        "gt" => ordered(i64::gt),
        "gte" => ordered(i64::ge),
        "lt" => ordered(i64::lt),
        "lte" => ordered(i64::le),
        "prefix" => texts.is_some_and(|(value, wanted)| value.starts_with(wanted)),
        "glob" => texts.is_some_and(|(value, wanted)| globs(wanted.as_bytes(), value.as_bytes())),
        op => panic!("no operator {op}"),
    }
}
