//! The audit log of a tenant as a chain: every entry is hashed together with the hash of the one before it, so that nothing in it can be
//! changed, removed, added or moved unseen. The database writes the hashes (`goals.audit_hash`); here they are computed
//! once more, from the same bytes.

use sha2::{Digest, Sha256};

/// What every hash begins with: no hash of another thing, or of another form of this one, is the same.
const DOMAIN: &[u8] = b"goalpost.audit.1";
/// The hash before the first entry.
pub const START: [u8; 32] = [0; 32];

/// One entry, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub tenant_id: String,
    /// 1, 2, 3 … within the tenant.
    pub seq: i64,
    pub id: i64,
    /// Microseconds since 1970.
    pub at_us: i64,
    pub actor: String,
    pub action: String,
    pub object_type: String,
    pub object_id: String,
    /// The stored text, to the byte.
    pub before: Option<String>,
    pub after: Option<String>,
    pub prev_hash: Vec<u8>,
    pub hash: Vec<u8>,
}

impl Entry {
    /// The hash that the entry must have. Numbers have eight bytes; whatever varies in length is preceded by it, so no two entries
    /// give the same bytes.
    pub fn computed_hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(DOMAIN);
        field(&mut hasher, Some(&self.prev_hash));
        for number in [self.seq, self.id, self.at_us] {
            hasher.update(number.to_be_bytes());
        }
        for text in [&self.tenant_id, &self.actor, &self.action, &self.object_type, &self.object_id] {
            field(&mut hasher, Some(text.as_bytes()));
        }
        for text in [&self.before, &self.after] {
            field(&mut hasher, text.as_deref().map(str::as_bytes));
        }
        hasher.finalize().into()
    }
}

fn field(hasher: &mut Sha256, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else {
        return hasher.update([0]);
    };
    hasher.update([1]);
    hasher.update((bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

/// Where a chain ends, or is known to have been at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How many entries there are up to here.
    pub seq: i64,
    pub hash: Vec<u8>,
}

/// What is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// The entry is not what was hashed.
    Altered,
    /// The entry does not follow from the one before it: that one, or this, is another.
    Unlinked,
    /// Entries are gone, from this one up to and with `last`.
    Missing { last: i64 },
    /// The number was there already, or is none.
    OutOfOrder,
    /// There are entries, and nothing that says how many there must be.
    HeadMissing,
    /// The chain does not end where its head says.
    HeadDiffers,
    /// Not the hash that was written down elsewhere.
    NotAsExpected,
}

impl Wrong {
    /// Stable, `snake_case`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::Unlinked => "unlinked",
            Self::Missing { .. } => "missing",
            Self::OutOfOrder => "out_of_order",
            Self::HeadMissing => "head_missing",
            Self::HeadDiffers => "head_differs",
            Self::NotAsExpected => "not_as_expected",
        }
    }
}

/// What is wrong, and at which entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub seq: i64,
    pub wrong: Wrong,
}

/// Follows the chain of one tenant, entry by entry in the order of `seq`. Remembers the last one only.
#[derive(Debug)]
pub struct Chain {
    at: Head,
    expected: Vec<Head>,
}

impl Default for Chain {
    fn default() -> Self {
        Self::expecting(Vec::new())
    }
}

impl Chain {
    /// A chain that must pass these points, which somebody wrote down elsewhere.
    pub fn expecting(expected: Vec<Head>) -> Self {
        Self { at: Head { seq: 0, hash: START.to_vec() }, expected }
    }

    /// Where it is.
    pub fn at(&self) -> &Head {
        &self.at
    }

    /// Takes the next entry; what is wrong with it. What follows is held against it as it is stored, so that one change is
    /// told where it was made.
    pub fn follow(&mut self, entry: &Entry) -> Vec<Finding> {
        let mut wrong = Vec::new();
        let next = self.at.seq.saturating_add(1);
        if entry.seq > next {
            wrong.push(Finding { seq: next, wrong: Wrong::Missing { last: entry.seq - 1 } });
        } else if entry.seq < next {
            wrong.push(Finding { seq: entry.seq, wrong: Wrong::OutOfOrder });
        } else if entry.prev_hash != self.at.hash {
            wrong.push(Finding { seq: entry.seq, wrong: Wrong::Unlinked });
        }
        if entry.hash != entry.computed_hash() {
            wrong.push(Finding { seq: entry.seq, wrong: Wrong::Altered });
        }
        if self.expected.iter().any(|point| point.seq == entry.seq && point.hash != entry.hash) {
            wrong.push(Finding { seq: entry.seq, wrong: Wrong::NotAsExpected });
        }
        self.at = Head { seq: entry.seq.max(self.at.seq), hash: entry.hash.clone() };
        wrong
    }

    /// There are no more entries; `head` is what the database says of the end.
    pub fn end(self, head: Option<&Head>) -> Vec<Finding> {
        let mut wrong = Vec::new();
        let last = self.at.seq;
        let gone = |to: i64| Finding { seq: last.saturating_add(1), wrong: Wrong::Missing { last: to } };
        match head {
            None if last > 0 => wrong.push(Finding { seq: last, wrong: Wrong::HeadMissing }),
            Some(head) if head.seq > last => wrong.push(gone(head.seq)),
            Some(head) if *head != self.at => wrong.push(Finding { seq: last, wrong: Wrong::HeadDiffers }),
            _ => {}
        }
        let farthest = self.expected.iter().map(|point| point.seq).max().unwrap_or(0);
        if farthest > last.max(head.map_or(0, |head| head.seq)) {
            wrong.push(gone(farthest));
        }
        wrong
    }
}

#[cfg(test)]
mod tests;
