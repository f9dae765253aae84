//! The CDNOW purchases: the file, its rows in the order of their dates, and the customers' first days.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, bail};
use domain::ids::EventId;
use domain::money::Amount;
use flate2::read::GzDecoder;
use time::{Date, Month};
use uuid::Uuid;

/// Compiled in, so that the demo works anywhere. Its source and licence stand beside the file.
const FILE: &[u8] = include_bytes!("../../../../deploy/demo/cdnow_master.txt.gz");

/// Of the ids of the events, which are the UUIDv5 of the row's number: the same at every run.
const NAMESPACE: Uuid = Uuid::from_u128(0x2c1e_71a5_9d0b_4f6e_8a37_5b1c_0d94_e6f2);

/// The goal of the workload is met from here on.
const GOAL_AMOUNT: &str = "100.00";
/// A spoilt purchase gets this amount.
const SPOILT_AMOUNT: &str = "99.98";

/// One row of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// Its number in the file, from 1.
    pub row: u32,
    pub customer: String,
    pub date: Date,
    pub quantity: u32,
    /// The dollars, with the digits of the file.
    pub amount: String,
}

impl Purchase {
    pub fn event_id(&self) -> EventId {
        Uuid::new_v5(&NAMESPACE, self.row.to_string().as_bytes()).into()
    }
}

/// All purchases, in the order of their dates; those of one day in the order of the file.
pub fn read() -> anyhow::Result<Vec<Purchase>> {
    let mut text = String::new();
    GzDecoder::new(FILE).read_to_string(&mut text).context("the purchases cannot be unpacked")?;
    let mut purchases = parse(&text)?;
    purchases.sort_by_key(|purchase| purchase.date);
    Ok(purchases)
}

fn parse(text: &str) -> anyhow::Result<Vec<Purchase>> {
    let rows = text.lines().skip(1).zip(1..);
    rows.map(|(line, row)| purchase(line, row).with_context(|| format!("row {row} is {line:?}"))).collect()
}

fn purchase(line: &str, row: u32) -> anyhow::Result<Purchase> {
    let mut words = line.split_whitespace();
    let (Some(customer), Some(date), Some(quantity), Some(amount), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        bail!("not a customer, a date, a quantity and an amount");
    };
    // The grammar of JSON: the text goes into the event as it is.
    Amount::parse(amount).context("the amount")?;
    Ok(Purchase {
        row,
        customer: customer.to_owned(),
        date: day(date)?,
        quantity: quantity.parse()?,
        amount: amount.to_owned(),
    })
}

fn day(text: &str) -> anyhow::Result<Date> {
    let number: u32 = text.parse()?;
    let year = i32::try_from(number / 10_000)?;
    let month = Month::try_from(u8::try_from(number / 100 % 100)?)?;
    Ok(Date::from_calendar_date(year, month, u8::try_from(number % 100)?)?)
}

/// The day of each customer's first purchase.
pub fn first_days(purchases: &[Purchase]) -> BTreeMap<&str, Date> {
    let mut days = BTreeMap::new();
    for purchase in purchases {
        let day = days.entry(purchase.customer.as_str()).or_insert(purchase.date);
        *day = purchase.date.min(*day);
    }
    days
}

/// Lowers one purchase that alone decides its customer's exit, so that the figures must differ.
/// Says which.
pub fn spoil(purchases: &mut [Purchase]) -> anyhow::Result<String> {
    let goal = Amount::parse(GOAL_AMOUNT)?;
    let mut meeting: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, purchase) in purchases.iter().enumerate() {
        if Amount::parse(&purchase.amount).is_ok_and(|amount| amount >= goal) {
            meeting.entry(purchase.customer.as_str()).or_default().push(index);
        }
    }
    let alone = meeting.values().find_map(|indexes| match indexes[..] {
        [index] => Some(index),
        _ => None,
    });
    let spoilt = &mut purchases[alone.context("no purchase decides an exit alone")?];
    let said = format!(
        "row {}: customer {} paid {} on {}, and is said to have paid {SPOILT_AMOUNT}",
        spoilt.row, spoilt.customer, spoilt.amount, spoilt.date
    );
    SPOILT_AMOUNT.clone_into(&mut spoilt.amount);
    Ok(said)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use time::macros::date;

    use super::*;

    #[test]
    fn the_file_is_the_one_the_figures_were_computed_from() {
        let purchases = read().unwrap();
        assert_eq!(purchases.len(), 69_659);
        assert_eq!(first_days(&purchases).len(), 23_570);
        let paid = |amount: &str| purchases.iter().filter(|it| it.amount == amount).count();
        assert_eq!((paid("99.99"), paid("100.00")), (9, 1));
        assert_eq!(purchases.iter().map(|it| it.quantity).sum::<u32>(), 167_881);
        let cents = |it: &Purchase| it.amount.replace('.', "").parse::<u64>().unwrap();
        assert!(purchases.iter().all(|it| it.amount.rsplit_once('.').unwrap().1.len() == 2));
        assert_eq!(purchases.iter().map(cents).sum::<u64>(), 250_031_563);
        assert_eq!(purchases.iter().map(Purchase::event_id).collect::<HashSet<_>>().len(), 69_659);
    }

    #[test]
    fn they_come_in_the_order_of_dates_and_rows() {
        let purchases = read().unwrap();
        assert!(purchases.is_sorted_by_key(|it| (it.date, it.row)));
        let (first, last) = (&purchases[0], purchases.last().unwrap());
        assert_eq!((first.date, last.date), (date!(1997 - 01 - 01), date!(1998 - 06 - 30)));
        assert_eq!((first.row, first.customer.as_str(), first.amount.as_str()), (1, "00001", "11.77"));
    }

    #[test]
    fn the_ids_are_the_same_at_every_run() {
        let purchases = read().unwrap();
        assert_eq!(purchases[0].event_id().to_string(), "a4935cec-d0b8-5385-8079-9aadffe83d14");
    }

    #[test]
    fn an_enrollment_begins_with_the_first_purchase() {
        let text = "customer_id  date\r\n 2 19970112 1 12.00\r\n 1 19970301 1 1.00\r\n 2 19970103 5 77.00\r\n";
        let purchases = parse(text).unwrap();
        let days = first_days(&purchases);
        let expected = [("1", date!(1997 - 03 - 01)), ("2", date!(1997 - 01 - 03))];
        assert_eq!(days.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn other_rows_are_refused_by_number() {
        for bad in
            ["1 19970101 1", "1 19970101 1 1.00 x", "1 19971301 1 1.00", "1 19970101 1 01.00", "1 19970101 -1 1.00", ""]
        {
            let refusal = parse(&format!("header\n1 19970101 1 1.00\n{bad}\n")).unwrap_err().to_string();
            assert!(refusal.starts_with("row 2 is"), "{refusal}");
        }
    }

    #[test]
    fn spoiling_changes_one_purchase_that_decides_an_exit() {
        let (whole, mut spoilt) = (read().unwrap(), read().unwrap());
        let said = spoil(&mut spoilt).unwrap();
        let changed: Vec<_> = whole.iter().zip(&spoilt).filter(|(one, other)| one != other).collect();
        let [(before, after)] = changed[..] else { panic!("{changed:?}") };
        assert_eq!((after.amount.as_str(), after.row), ("99.98", before.row));
        assert!(said.contains(&before.customer) && said.contains(&before.amount), "{said}");
        let amount = |it: &Purchase| it.amount.parse::<f64>().unwrap();
        let others = spoilt.iter().filter(|it| it.customer == before.customer && amount(it) >= 100.0);
        assert_eq!((amount(before) >= 100.0, others.count()), (true, 0));
    }
}
