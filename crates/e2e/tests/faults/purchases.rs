//! The CDNOW purchases of some customers, and what must come of them: computed from the file by a few lines that share nothing
//! with Goalpost.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;
use uuid::Uuid;

const FILE: &[u8] = include_bytes!("../../../../deploy/demo/cdnow_master.txt.gz");
const NAMESPACE: Uuid = Uuid::from_u128(0x6a1d_0c55_2f38_5b0e_9d14_77aa_3e90_41c7);

/// One row of the file.
#[derive(Clone, Debug)]
pub struct Purchase {
    pub event_id: Uuid,
    pub customer: String,
    /// `1997-01-12`.
    pub day: String,
    /// The dollars, with the digits of the file.
    pub amount: String,
    pub cents: u64,
    pub quantity: String,
}

/// The purchases of the first `customers` of the file, in the file's order.
pub fn of_first(customers: usize) -> Vec<Purchase> {
    let mut text = String::new();
    GzDecoder::new(FILE).read_to_string(&mut text).unwrap();
    let mut rows = Vec::new();
    let (mut seen, mut last) = (0, String::new());
    for (line, number) in text.lines().skip(1).zip(1..) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [customer, date, quantity, amount] = words[..] else { panic!("row {number} is {line:?}") };
        if customer != last {
            (seen, last) = (seen + 1, customer.to_owned());
        }
        if seen > customers {
            break;
        }
        let event_id = Uuid::new_v5(&NAMESPACE, format!("{number}").as_bytes());
        let day = format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]);
        let cents = amount.replace('.', "").parse().unwrap();
        let (customer, amount, quantity) = (customer.to_owned(), amount.to_owned(), quantity.to_owned());
        rows.push(Purchase { event_id, customer, day, amount, cents, quantity });
    }
    rows
}

/// The day of each customer's first purchase: when the customer is enrolled.
pub fn first_days(purchases: &[Purchase]) -> BTreeMap<String, String> {
    let mut days: BTreeMap<String, String> = BTreeMap::new();
    for purchase in purchases {
        let day = days.entry(purchase.customer.clone()).or_insert_with(|| purchase.day.clone());
        *day = purchase.day.clone().min(day.clone());
    }
    days
}

/// One of the workflows that every customer is enrolled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aim {
    /// `any`: a purchase of 100.00 or more. The demo's.
    Big,
    /// `all`: one of 30.00 or more, and one of 15.00 or less.
    Both,
    /// `any`: one of 10.00 or more; deactivated while events still come.
    Frozen,
}

impl Aim {
    pub const ALL: [Self; 3] = [Self::Big, Self::Both, Self::Frozen];

    pub fn logic(self) -> &'static str {
        if self == Self::Both { "all" } else { "any" }
    }

    /// The criteria of its goals.
    pub fn criteria(self) -> &'static [&'static str] {
        match self {
            Self::Big => &[r#"{"min_amount": 100.00}"#],
            Self::Both => &[r#"{"min_amount": 30.00}"#, r#"{"max_amount": 15.00}"#],
            Self::Frozen => &[r#"{"min_amount": 10.00}"#],
        }
    }

    /// Whether a purchase meets the goal of this position.
    pub fn meets(self, goal: usize, cents: u64) -> bool {
        match (self, goal) {
            (Self::Big, 0) => cents >= 10_000,
            (Self::Both, 0) => cents >= 3_000,
            // An amount of nothing meets no goal.
            (Self::Both, 1) => (1..=1_500).contains(&cents),
            (Self::Frozen, 0) => cents >= 1_000,
            _ => panic!("{self:?} has no goal {goal}"),
        }
    }
}

/// For each customer, which goals of a workflow are met once all purchases have been judged.
pub fn reached(aim: Aim, purchases: &[Purchase]) -> BTreeMap<String, Vec<usize>> {
    let mut reached: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for goal in 0..aim.criteria().len() {
        for purchase in purchases.iter().filter(|purchase| aim.meets(goal, purchase.cents)) {
            let goals = reached.entry(purchase.customer.clone()).or_default();
            if !goals.contains(&goal) {
                goals.push(goal);
            }
        }
    }
    reached
}

#[test]
fn the_whole_file_gives_the_published_figures() {
    let purchases = of_first(usize::MAX);
    assert_eq!(purchases.len(), 69_659);
    assert_eq!(first_days(&purchases).len(), 23_570);
    assert_eq!(reached(Aim::Big, &purchases).len(), 1_809);
}
