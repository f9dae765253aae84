//! What is found and what is not, example by example; and properties: what was planted is gone, the rest is as it was.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;

use proptest::prelude::*;
use time::OffsetDateTime;
use uuid::Uuid;

use super::*;
use crate::event::Event;
use crate::fault::Fault;
use crate::ids::ContactId;
use crate::json::tests::any_json;
use crate::json::{Json, Limits};

fn json(text: &str) -> Json {
    Json::parse(text, &Limits::WIRE).unwrap()
}

fn salt() -> Salt {
    Salt::new(&[7; 32]).unwrap()
}

fn event(properties: Json, context: Option<Json>) -> Event {
    Event {
        event_id: Uuid::from_u128(1).into(),
        project_id: None,
        event_name: "form.submitted".to_owned(),
        event_category: None,
        occurred_at: OffsetDateTime::UNIX_EPOCH,
        user_id: Some("u-1".to_owned()),
        contact_id: None,
        session_id: None,
        properties,
        context,
    }
}

fn redaction(mode: Mode, deny: &[&str], allow: &[&str]) -> Result<Redaction, Fault> {
    let owned = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    Redaction::new(mode, &owned(deny), &owned(allow))
}

fn apply(rules: &Redaction, event: &mut Event) -> Result<Redacted, Fault> {
    rules.apply(event, &salt(), &|key| key == "form_id")
}

/// What becomes of these properties, and of this context.
fn redacted(properties: &str, context: &str) -> (String, String, Redacted) {
    let mut event = event(json(properties), Some(json(context)).filter(|json| !json.is_null()));
    let counts = apply(&Redaction::default(), &mut event).unwrap();
    (event.properties.to_text(), event.context.map(|json| json.to_text()).unwrap_or_default(), counts)
}

#[test]
fn an_id_that_tells_a_person_becomes_the_same_pseudonym_however_it_is_spelled() {
    let salt = salt();
    for (spellings, pseudonym) in [
        (
            ["ann@example.com", "Ann@Example.COM", " ann@example.com "],
            "h_61b55fab9c26d32d104ec34ed67a68f9", // by another implementation of HMAC
        ),
        (["+4930123456", "+49 (0)30 123-456", "0049 30 123456"], "h_19d2949711a0cfe4b0c87d153b7474a8"),
        (["(555) 123-4567", "555.123.4567", "555 123-4567"], "h_34b0ac130e496516cfd2413911d69a1b"),
    ] {
        for spelling in spellings {
            assert_eq!(salt.user_id(spelling), pseudonym, "{spelling}");
            let contact = ContactId::parse(spelling).unwrap();
            assert_eq!(salt.contact_id(&contact).as_str(), pseudonym);
            assert!(tells_a_person(spelling));
        }
        assert_eq!(salt.user_id(pseudonym), pseudonym, "a pseudonym stays");
        assert_ne!(Salt::new(&[8; 32]).unwrap().user_id(spellings[0]), pseudonym);
    }
    assert_eq!(salt.user_id("zo\u{eb}@example.com"), salt.user_id("ZOE\u{308}@example.com"));
    assert!(salt.user_id("mailto:ann@example.com").starts_with("h_"));
    for id in [
        "c-1",
        "1234567",
        "4915112345678",
        "4111111111111111",
        "h_1",
        "@ann",
        "ann@home",
        "a+b",
        "+12",
        "2024-01-15-1234",
    ] {
        assert_eq!(salt.user_id(id), id);
    }
    let uuid = "01234567-0123-4567-8901-012345678901";
    assert_eq!(salt.user_id(uuid), uuid);
    assert!(Salt::new(&[7; 31]).is_none());
}

#[test]
fn addresses_and_numbers_are_found_within_texts() {
    for (text, clean_text) in [
        ("write to ann@example.com.", "write to [redacted]."),
        ("<Ann.O'Neil+x@mail.example.co.uk>", "<[redacted]>"),
        ("mailto:ann@example.com", "mailto:[redacted]"),
        ("'ann@example.com'", "'[redacted]'"),
        ("\"ann b\"@example.com", "[redacted]"),
        ("/u/ann%40example.com/x", "/u/[redacted]/x"),
        ("a@b.com,c@d.org", "[redacted],[redacted]"),
        ("zoë@exämple.de", "[redacted]"),
        ("call +49 (0)30 / 123456 now", "call [redacted] now"),
        ("tel:+15551234567", "tel:[redacted]"),
        ("(030) 123 456", "[redacted]"),
        ("1 (555) 123-4567", "[redacted]"),
        ("555-123-4567 or 1-555-123-4568", "[redacted] or [redacted]"),
        ("06 12 34 56 78, 0171-1234567", "[redacted], [redacted]"),
        ("4111 1111 1111 1111", "[redacted]"),
        ("card:4111-1111-1111-1111 12/28", "card:[redacted] 12/28"),
        ("378282246310005 and 30569309025904", "[redacted] and [redacted]"),
        ("4111111111111111 5555555555554444", "[redacted] [redacted]"),
    ] {
        assert_eq!(clean(text), clean_text);
        assert_eq!(clean(clean_text), clean_text);
    }
}

#[test]
fn what_only_looks_like_them_stays() {
    for text in [
        "2026-01-03T10:00:00.123456+02:00",
        "01.02.2026 10:15, 01/02/26 10:15",
        "6f0c1a52-7d3f-4d7e-9a51-0c8b6a3d1e2f",
        "40000000-0000-4000-8000-000000000002",
        "10.0.100.200",
        "192.168.100.200",
        "1234567",
        "1767434400000",
        "1 000 000 000.50",
        "0.12345678901",
        "4111 1111 1111 1112",
        "o-0171-1234567",
        "Chrome/120.0.6099.109",
        "logo@2x.png",
        "@angular/core@17.0.1",
        "ann@localhost",
        "50 % off @ noon",
        "SKU 100-2000-300",
        "4f111111111111111",
        "$1,234,567.89",
    ] {
        assert_eq!(clean(text), text);
    }
}

#[test]
fn an_event_is_stored_without_what_is_personal() {
    let (properties, _, counts) = redacted(
        r#"{"amount":99.990,"e-Mail":"x","note":"Ann <ann@example.com>, +49 30 123456","card_no":4111111111111111,
            "items":[{"phone":7,"name":null,"pin":""},["4111 1111 1111 1111"]],"address":{"city":"Rome"},"tag_name":"VIP",
            "form_id":"030-123456","other_id":"030-123456","contact_id":"ann@example.com","ann@example.com":1}"#,
        "null",
    );
    assert_eq!(
        properties,
        r#"{"amount":99.990,"e-Mail":"[redacted]","note":"Ann <[redacted]>, [redacted]","card_no":"[redacted]","#
            .to_owned()
            + r#""items":[{"phone":"[redacted]","name":null,"pin":""},["[redacted]"]],"address":"[redacted]","tag_name":"VIP","#
            + r#""form_id":"030-123456","other_id":"[redacted]","contact_id":"h_61b55fab9c26d32d104ec34ed67a68f9","[redacted]":1}"#
    );
    let of: Vec<u32> = Kind::ALL.iter().map(|kind| counts.of(*kind)).collect();
    assert_eq!(of, [3, 2, 2, 2, 0, 1]);
}

#[test]
fn a_url_loses_its_query_and_the_campaign_is_kept() {
    let (properties, context, counts) = redacted(
        r#"{"link":"https://ann:secret@shop.example/a?utm_source=other#x","url":"/b?q=1","text":"why? #1","at":"10:00 @ 5"}"#,
        r#"{"page":{"referrer":"https://x.example/?utm_medium=no","url":"https://shop.example/?UTM_Source=news%20letter&utm_campaign=May+1&gclid=a%2Fb&utm_term=%00&token=s"},
            "campaign":{"name":"June","email":"kept@example.com"},"user_agent":"Bot/1.0 (+1 555 123 4567; bot@example.com)","ip":"10.0.0.1"}"#,
    );
    assert_eq!(properties, r#"{"link":"https://shop.example/a","url":"/b","text":"why? #1","at":"10:00 @ 5"}"#);
    assert_eq!(
        context,
        r#"{"page":{"referrer":"https://x.example/","url":"https://shop.example/"},"#.to_owned()
            + r#""campaign":{"name":"June","email":"kept@example.com","source":"news letter","gclid":"a/b"},"#
            + r#""user_agent":"Bot/1.0 (+1 555 123 4567; bot@example.com)","ip":"[redacted]"}"#
    );
    assert_eq!((counts.of(Kind::Url), counts.of(Kind::Key), counts.total()), (4, 1, 5));
    // Without a context one is made; a URL of the properties tells the campaign where the page's does not.
    let (_, context, _) = redacted(r#"{"href":"https://x.example/?fbclid=1&fbclid=2"}"#, "null");
    assert_eq!(context, r#"{"campaign":{"fbclid":"1"}}"#);
}

#[test]
fn a_tenant_adds_keys_and_excepts_some() {
    let rules = redaction(Mode::Redact, &["Kunden Nr", "form_id"], &["name"]).unwrap();
    let mut event = event(json(r#"{"kunden_nr":"7","form_id":"f","name":"Pro, ann@example.com","email":"x"}"#), None);
    apply(&rules, &mut event).unwrap();
    assert_eq!(
        event.properties.to_text(),
        r#"{"kunden_nr":"[redacted]","form_id":"[redacted]","name":"Pro, [redacted]","email":"[redacted]"}"#
    );
    let refused = |deny: &[&str], allow: &[&str]| redaction(Mode::Redact, deny, allow).map_err(|f| (f.code, f.pointer));
    assert_eq!(refused(&["a", "_"], &[]), Err(("invalid_value", "/deny/1".to_owned())));
    assert_eq!(refused(&["e_mail"], &["E-Mail"]), Err(("conflicting_keys", "/allow".to_owned())));
    assert_eq!(refused(&[], &[&"x".repeat(65)]), Err(("too_long", "/allow/0".to_owned())));
    assert_eq!(refused(&["a"; 201], &[]), Err(("too_many", "/deny".to_owned())));
    let stored = r#"{"mode": "redact", "deny": ["form_id", "kundennr"], "allow": ["Name"]}"#;
    assert_eq!(Redaction::parse(stored).unwrap(), rules);
    assert_eq!(Redaction::parse("{}").unwrap_err().code, "invalid_value");
}

#[test]
fn a_tenant_may_have_such_events_rejected() {
    let rules = redaction(Mode::Reject, &[], &[]).unwrap();
    let pointer = |properties: &str, context: &str| {
        let mut event = event(json(properties), Some(json(context)));
        let fault = apply(&rules, &mut event).unwrap_err();
        assert_eq!(fault.code, "personal_data");
        assert!(!fault.to_string().contains("ann") && !fault.to_string().contains("4111"), "{fault}");
        fault.pointer
    };
    assert_eq!(pointer(r#"{"a":[1,{"b/c":"to ann@example.com"}]}"#, "{}"), "/properties/a/1/b~1c");
    assert_eq!(pointer(r#"{"Phone":1}"#, "{}"), "/properties/Phone");
    assert_eq!(pointer(r#"{"x":{"ann@example.com":1}}"#, "{}"), "/properties/x", "the key is not repeated");
    assert_eq!(pointer("{}", r#"{"page":{"title":"4111111111111111"}}"#), "/context/page/title");
    // Ids and URLs are no reason.
    let mut event = event(json(r#"{"url":"https://x.example/?a=b"}"#), None);
    event.contact_id = Some(ContactId::parse("ann@example.com").unwrap());
    assert_eq!(apply(&rules, &mut event).unwrap().total(), 2);
    assert_eq!(event.contact_id.unwrap().as_str(), "h_61b55fab9c26d32d104ec34ed67a68f9");
}

/// Something personal, as people write it, and what tells it wherever it is left.
fn personal() -> impl Strategy<Value = (String, String)> {
    let email = "[a-z]{2,8}(\\.[a-z]{1,6})?@[a-z]{2,8}\\.(com|de|co\\.uk)";
    let international = "\\+[1-9][0-9]{1,2}[ -]?[0-9]{2,4}[ -]?[0-9]{4,6}";
    let card = "[0-9]{14}".prop_map(|tail| card_of(&format!("4{tail}")));
    let parted = "5[1-5][0-9]{13}".prop_map(|digits| {
        let digits = card_of(&digits);
        [&digits[..4], &digits[4..8], &digits[8..12], &digits[12..]].join(" ")
    });
    prop_oneof![
        email.prop_map(|text| (text.clone(), text)),
        international.prop_map(|text| (text.clone(), text)),
        "\\([2-9][0-9]{2}\\) [0-9]{3}-[0-9]{4}".prop_map(|text| (text.clone(), text)),
        card.prop_map(|text| (text.clone(), text)),
        parted.prop_map(|text| (text.clone(), text)),
    ]
}

/// These digits with the one behind them that makes the sum of Luhn right.
fn card_of(digits: &str) -> String {
    let right = |number: &String| {
        let doubled = number.bytes().rev().enumerate().map(|(at, byte)| match (at % 2, byte - b'0') {
            (1, digit) if digit > 4 => digit * 2 - 9,
            (1, digit) => digit * 2,
            (_, digit) => digit,
        });
        doubled.map(u32::from).sum::<u32>() % 10 == 0
    };
    (0..10).map(|check| format!("{digits}{check}")).find(right).unwrap()
}

/// What people write beside it.
fn harmless() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        "[A-Z][a-z]{1,8}",
        "[1-9][0-9]{0,11}",
        Just("2026-01-03T10:00:00Z".to_owned()),
        any::<u128>().prop_map(|number| Uuid::from_u128(number).to_string()),
        "[0-9]{1,3}\\.[0-9]{2}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn what_was_planted_is_gone_and_the_rest_is_there(
        parts in prop::collection::vec((harmless(), ", |; |: | \\| |\n", personal()), 1..5), nested in any::<bool>(),
    ) {
        let text: String = parts.iter().map(|(word, gap, (told, _))| format!("{word}{gap}{told}{gap}")).collect();
        let value = Json::object([("inner", Json::String(text.clone()))]);
        let value = if nested { Json::object([("list", Json::Array(vec![value]))]) } else { value };
        let mut event = event(value, None);
        let counts = apply(&Redaction::default(), &mut event).unwrap();
        let after = event.properties.to_text();
        for (word, _, (_, told)) in &parts {
            prop_assert!(!after.contains(told.as_str()), "{} in {}", told, after);
            prop_assert!(after.contains(word.as_str()), "{} not in {}", word, after);
        }
        prop_assert_eq!(counts.total() as usize, parts.len(), "{} -> {}", text, after);
    }

    /// An independent look at every place: no text that is left holds an address or a card number.
    #[test]
    fn nothing_is_left_that_another_eye_would_find(text in "[a-c1-5@%4. +()/-]{0,40}") {
        let left = clean(&text);
        let words: Vec<&str> = left.split(|c: char| !(c.is_alphanumeric() || "@.+-".contains(c))).collect();
        for word in words {
            if let Some((local, domain)) = word.split_once('@') {
                let mut labels = domain.split('.');
                let named = labels.next().is_some_and(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric()));
                let top = labels.next().is_some_and(|label| label.len() > 1 && label.bytes().all(|b| b.is_ascii_lowercase()));
                prop_assert!(local.is_empty() || !(named && top), "{:?} of {:?}", word, text);
            }
            let digits = word.strip_prefix('+').filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
            prop_assert!(!digits.is_some_and(|digits| (7..=15).contains(&digits.len())), "{:?} of {:?}", word, text);
        }
    }

    #[test]
    fn once_is_enough(value in any_json(), texts in prop::collection::vec("[a-z0-9@. +()/?#:-]{0,30}", 0..4)) {
        let texts = Json::Array(texts.into_iter().map(Json::String).collect());
        let mut event = event(Json::object([("value", value), ("texts", texts)]), None);
        apply(&Redaction::default(), &mut event).unwrap();
        let once = event.clone();
        let counts = apply(&Redaction::default(), &mut event).unwrap();
        prop_assert_eq!(&event, &once);
        prop_assert_eq!(counts.total(), 0);
    }

    #[test]
    fn any_json_becomes_json_and_what_is_harmless_stays_to_the_byte(value in any_json(), mode in any::<bool>()) {
        let mut event = event(Json::object([("value", value.clone())]), Some(Json::object([("page", value)])));
        let before = event.clone();
        let rules = redaction(if mode { Mode::Reject } else { Mode::Redact }, &[], &[]).unwrap();
        match apply(&rules, &mut event) {
            Ok(counts) if counts.total() == 0 => prop_assert_eq!(&event, &before),
            Ok(_) => prop_assert!(Json::parse(&event.properties.to_text(), &Limits::WIRE).is_ok()),
            Err(fault) => prop_assert_eq!(fault.code, "personal_data"),
        }
        // Whether it is rejected is whether anything but ids and URLs would be taken out.
        let mut other = before.clone();
        let counts = apply(&Redaction::default(), &mut other).unwrap();
        let reasons: HashSet<bool> = [Kind::Key, Kind::Email, Kind::Phone, Kind::Card].iter().map(|kind| counts.of(*kind) > 0).collect();
        let mut again = before;
        prop_assert_eq!(apply(&redaction(Mode::Reject, &[], &[]).unwrap(), &mut again).is_err(), reasons.contains(&true));
    }
}
