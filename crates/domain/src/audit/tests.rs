//! Chains that were tampered with, and chains that were not.

use proptest::prelude::*;

use super::*;

fn entry() -> impl Strategy<Value = Entry> {
    let texts = ("[a-c:]{0,3}", "[a-c:]{0,3}", "[a-c:]{0,3}", "[a-c:]{0,3}");
    let objects = (proptest::option::of("[{}\"a]{0,4}"), proptest::option::of("[{}\"a]{0,4}"));
    (texts, objects, any::<i64>(), any::<i64>()).prop_map(|(texts, (before, after), id, at_us)| {
        let (actor, action, object_type, object_id) = texts;
        let (tenant_id, prev_hash, hash) = ("shop".to_owned(), Vec::new(), Vec::new());
        Entry { tenant_id, seq: 0, id, at_us, actor, action, object_type, object_id, before, after, prev_hash, hash }
    })
}

/// Numbers and hashes, as the database gives them.
fn chained(mut entries: Vec<Entry>) -> (Vec<Entry>, Head) {
    let mut head = Head { seq: 0, hash: START.to_vec() };
    for entry in &mut entries {
        (entry.seq, entry.prev_hash) = (head.seq + 1, head.hash);
        entry.hash = entry.computed_hash().to_vec();
        head = Head { seq: entry.seq, hash: entry.hash.clone() };
    }
    (entries, head)
}

fn chain(most: usize) -> impl Strategy<Value = (Vec<Entry>, Head)> {
    proptest::collection::vec(entry(), 2..most).prop_map(chained)
}

fn verify(entries: &[Entry], head: Option<&Head>) -> Vec<Finding> {
    let mut chain = Chain::default();
    let mut found: Vec<Finding> = entries.iter().flat_map(|entry| chain.follow(entry)).collect();
    found.extend(chain.end(head));
    found
}

fn flip(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// The entry with its column number `column` changed a little.
fn altered(entry: &Entry, column: usize, bit: usize) -> Entry {
    let mut it = entry.clone();
    let object = |text: &Option<String>| match text {
        None => Some(String::new()),
        Some(text) if bit.is_multiple_of(3) && text.is_empty() => None,
        Some(text) => Some(format!("{text} ")),
    };
    match column {
        0 => it.tenant_id.push('x'),
        1 => it.id ^= 1 << (bit % 64),
        2 => it.at_us ^= 1 << (bit % 64),
        3 => it.actor.push('a'),
        4 => it.action.push('a'),
        5 => it.object_type.push('a'),
        6 => it.object_id.push('a'),
        7 => it.before = object(&it.before),
        8 => it.after = object(&it.after),
        9 => it.prev_hash = flip(&it.prev_hash, bit),
        _ => it.hash = flip(&it.hash, bit),
    }
    it
}

proptest! {
    #[test]
    fn an_untouched_chain_is_not_complained_of((entries, head) in chain(20)) {
        prop_assert_eq!(verify(&entries, Some(&head)), vec![]);
        let mut expecting = Chain::expecting(vec![head.clone(), Head { seq: 1, hash: entries[0].hash.clone() }]);
        for entry in &entries {
            prop_assert_eq!(expecting.follow(entry), vec![]);
        }
        prop_assert_eq!(expecting.end(Some(&head)), vec![]);
    }

    #[test]
    fn every_change_of_a_column_is_told_where_it_was_made(
        (entries, head) in chain(20), at in any::<prop::sample::Index>(), column in 0..11_usize, bit in 0..256_usize,
    ) {
        let mut entries = entries;
        let at = at.index(entries.len());
        entries[at] = altered(&entries[at], column, bit);
        let seq = entries[at].seq;
        let found = verify(&entries, Some(&head));
        let altered = Finding { seq, wrong: Wrong::Altered };
        prop_assert!(found.contains(&altered), "{:?}", found);
        prop_assert!(found.iter().all(|finding| (seq..=seq + 1).contains(&finding.seq)), "{:?}", found);
    }

    #[test]
    fn an_entry_rewritten_with_its_hash_betrays_itself_behind_it(
        (entries, head) in chain(20), at in any::<prop::sample::Index>(), column in 1..10_usize,
    ) {
        let mut entries = entries;
        let at = at.index(entries.len());
        entries[at] = altered(&entries[at], column, 1);
        entries[at].hash = entries[at].computed_hash().to_vec();
        prop_assert!(!verify(&entries, Some(&head)).is_empty());
    }

    #[test]
    fn what_is_removed_doubled_or_swapped_is_found(
        (entries, head) in chain(20), at in any::<prop::sample::Index>(), with in any::<prop::sample::Index>(),
    ) {
        let (at, with) = (at.index(entries.len()), with.index(entries.len()));
        let seq = entries[at].seq;
        let mut fewer = entries.clone();
        fewer.remove(at);
        prop_assert_eq!(verify(&fewer, Some(&head)), vec![Finding { seq, wrong: Wrong::Missing { last: seq } }]);
        let mut more = entries.clone();
        more.insert(at, entries[at].clone());
        let doubled = Finding { seq, wrong: Wrong::OutOfOrder };
        prop_assert!(verify(&more, Some(&head)).contains(&doubled));
        if at != with {
            let mut swapped = entries.clone();
            swapped.swap(at, with);
            prop_assert!(!verify(&swapped, Some(&head)).is_empty());
            // Those who give each the other's number.
            (swapped[at].seq, swapped[with].seq) = (entries[at].seq, entries[with].seq);
            let renumbered = Finding { seq, wrong: Wrong::Altered };
            prop_assert!(verify(&swapped, Some(&head)).contains(&renumbered));
        }
    }

    #[test]
    fn an_end_that_is_cut_off_is_found_by_the_head_or_by_what_was_written_down(
        (entries, head) in chain(20), kept in any::<prop::sample::Index>(),
    ) {
        let kept = kept.index(entries.len());
        let cut = &entries[..kept];
        let first = i64::try_from(kept).unwrap() + 1;
        let gone = vec![Finding { seq: first, wrong: Wrong::Missing { last: head.seq } }];
        prop_assert_eq!(verify(cut, Some(&head)), gone.clone());
        // Who moves the head too is found by nothing in the database.
        let moved = cut.last().map(|last| Head { seq: last.seq, hash: last.hash.clone() });
        prop_assert_eq!(verify(cut, moved.as_ref()), vec![]);
        let mut expecting = Chain::expecting(vec![head]);
        for entry in cut {
            expecting.follow(entry);
        }
        prop_assert_eq!(expecting.end(moved.as_ref()), gone);
    }

    #[test]
    fn different_entries_have_different_hashes(one in entry(), other in entry()) {
        prop_assert_eq!(one == other, one.computed_hash() == other.computed_hash());
    }
}

/// Every bit of every text and number of one entry, and where one text ends and the next begins.
#[test]
fn every_bit_counts() {
    let (entries, _) = chained(vec![Entry {
        tenant_id: "shop".to_owned(),
        seq: 0,
        id: 7,
        at_us: 1_767_434_400_000_000,
        actor: "key:k".to_owned(),
        action: "goal.updated".to_owned(),
        object_type: "goal".to_owned(),
        object_id: "g".to_owned(),
        before: None,
        after: Some("{\"version\": 2}".to_owned()),
        prev_hash: Vec::new(),
        hash: Vec::new(),
    }]);
    let entry = &entries[0];
    let change: [fn(&mut Entry); 6] = [
        |it| (it.actor, it.action) = ("key:kg".to_owned(), "oal.updated".to_owned()),
        |it| it.object_id.clear(),
        |it| it.before = Some(String::new()),
        |it| (it.before, it.after) = (it.after.take(), None),
        |it| it.after = Some("{\"version\": 2} ".to_owned()),
        |it| it.seq = 2,
    ];
    for change in change {
        let mut other = entry.clone();
        change(&mut other);
        assert_ne!(other.computed_hash(), entry.computed_hash(), "{other:?}");
    }
    let numbers: [fn(&mut Entry) -> &mut i64; 3] = [|it| &mut it.seq, |it| &mut it.id, |it| &mut it.at_us];
    for bit in 0..64 {
        for number in numbers {
            let mut other = entry.clone();
            *number(&mut other) ^= 1 << bit;
            assert_ne!(other.computed_hash(), entry.computed_hash(), "{other:?}");
        }
    }
}

#[test]
fn a_head_that_is_not_there_or_says_less_is_found() {
    let (entries, head) = chained(Vec::new());
    assert_eq!(verify(&entries, None), []);
    assert_eq!(verify(&entries, Some(&head)), []);
    let plain = |seq| Entry {
        tenant_id: "t".to_owned(),
        seq,
        id: seq,
        at_us: 0,
        actor: String::new(),
        action: String::new(),
        object_type: String::new(),
        object_id: String::new(),
        before: None,
        after: None,
        prev_hash: Vec::new(),
        hash: Vec::new(),
    };
    let (entries, head) = chained(vec![plain(1), plain(2)]);
    assert_eq!(verify(&entries, None), [Finding { seq: 2, wrong: Wrong::HeadMissing }]);
    for (seq, hash) in [(1, head.hash.clone()), (1, entries[0].hash.clone()), (2, entries[0].hash.clone())] {
        assert_eq!(verify(&entries, Some(&Head { seq, hash })), [Finding { seq: 2, wrong: Wrong::HeadDiffers }]);
    }
    let mut expecting = Chain::expecting(vec![Head { seq: 1, hash: START.to_vec() }]);
    assert_eq!(expecting.follow(&entries[0]), [Finding { seq: 1, wrong: Wrong::NotAsExpected }]);
}
