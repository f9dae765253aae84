//! Keys whose value is personal whatever it is, and keys that hold identifiers. A key counts as a whole, without regard to case and
//! to what parts its words: `e-mail`, `E_Mail` and `eMail` are `email`; `product_name` is not `name`.

/// The words of the deny-list, in the alphabet's order.
#[rustfmt::skip]
const DENIED: [&str; 140] = [
    "accesskey", "accesstoken", "accountnumber", "address", "address1", "address2", "addressline", "addressline1",
    "addressline2", "apikey", "apisecret", "authorization", "authtoken", "bankaccount", "bankaccountnumber",
    "bearertoken", "billingaddress", "billingemail", "billingname", "birthdate", "birthday", "card", "cardexpiry",
    "cardholder", "cardholdername", "cardnumber", "cardsecuritycode", "ccnumber", "cell", "cellphone",
    "cellphonenumber", "clientip", "clientsecret", "contactemail", "contactname", "contactphone", "cookie",
    "credentials", "creditcard", "creditcardnumber", "csc", "csrftoken", "customeremail", "customername",
    "customerphone", "cvc", "cvc2", "cvv", "cvv2", "dateofbirth", "debitcard", "deliveryaddress", "displayname",
    "dob", "driverlicense", "driverslicense", "email", "emailaddress", "familyname", "fax", "faxnumber", "firstname",
    "fname", "fullname", "givenname", "homeaddress", "homephone", "housenumber", "iban", "idtoken", "ip", "ipaddr",
    "ipaddress", "ipv4", "ipv6", "jwt", "lastname", "lname", "maidenname", "mail", "mailaddress", "mailingaddress",
    "middlename", "mobile", "mobilenumber", "mobilephone", "msisdn", "name", "nameoncard", "nationalid", "nickname",
    "otp", "passcode", "passphrase", "passport", "passportnumber", "passwd", "password", "phone", "phonenumber",
    "pin", "postaladdress", "privatekey", "pwd", "recipientname", "refreshtoken", "remoteaddr", "remoteip",
    "routingnumber", "secret", "secretkey", "securitycode", "sessiontoken", "setcookie", "shippingaddress",
    "shippingemail", "shippingname", "socialsecurity", "socialsecuritynumber", "sortcode", "ssn", "street", "street1",
    "street2", "streetaddress", "streetname", "surname", "taxid", "tel", "telephone", "telephonenumber", "token",
    "useremail", "userip", "username", "userphone", "whatsapp", "workphone", "xforwardedfor", "xrealip",
];
/// The longest of them has fewer bytes.
const MAX_WORD_BYTES: usize = 32;

/// By first letter, the lengths of the words: most keys have none of them.
static LENGTHS: [u32; 26] = lengths();

const fn lengths() -> [u32; 26] {
    let mut lengths = [0; 26];
    let mut at = 0;
    while at < DENIED.len() {
        let word = DENIED[at].as_bytes();
        lengths[(word[0] - b'a') as usize] |= 1 << word.len();
        at += 1;
    }
    lengths
}

fn parts(c: char) -> bool {
    matches!(c, '-' | '_' | '.' | ' ')
}

/// The word that a key is: in lower case, with nothing between its parts.
pub(super) fn word(key: &str) -> String {
    key.chars().filter(|c| !parts(*c)).flat_map(char::to_lowercase).collect()
}

/// Whether the key is on the deny-list that every tenant has.
pub(super) fn is_denied(key: &str) -> bool {
    let mut word = [0_u8; MAX_WORD_BYTES];
    let mut len = 0;
    for byte in key.bytes().filter(|byte| !parts(char::from(*byte))) {
        if len + 1 == MAX_WORD_BYTES {
            return false;
        }
        word[len] = byte.to_ascii_lowercase();
        len += 1;
    }
    let word = &word[..len];
    let lengths = match word.first() {
        Some(first @ b'a'..=b'z') => LENGTHS[usize::from(first - b'a')],
        _ => 0,
    };
    lengths & (1 << len) != 0 && DENIED.binary_search_by(|denied| denied.as_bytes().cmp(word)).is_ok()
}

/// Whether a key that the schema of an event's type names holds identifiers: it ends in `_id`, `Id`, `_ids` or `Ids`, or is the name
/// by which a goal may know a tag. What stands there is looked for again, so nothing is taken out of it.
#[must_use]
pub fn is_identifier(key: &str) -> bool {
    ["_id", "Id", "_ids", "Ids"].iter().any(|ending| key.ends_with(ending)) || key == "tag_name"
}

/// Whether the key says whom an event is about: ids there get the pseudonyms that the event's own get.
pub(super) fn names_a_person(key: &str) -> bool {
    matches!(key, "contact_id" | "contactId" | "user_id" | "userId" | "session_id" | "sessionId")
}

/// Whether the key says that its value is a URL, also a relative one.
pub(super) fn is_url(key: &str) -> bool {
    let ends = |ending: &str| {
        let from = key.len().checked_sub(ending.len());
        from.and_then(|from| key.get(from..)).is_some_and(|end| end.eq_ignore_ascii_case(ending))
    };
    ["url", "uri", "href", "referrer", "referer"].into_iter().any(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deny_list_can_be_searched() {
        assert!(DENIED.is_sorted_by(|a, b| a < b));
        for denied in DENIED {
            assert!(denied.len() < MAX_WORD_BYTES && is_denied(denied) && word(denied) == denied, "{denied}");
        }
    }

    #[test]
    fn a_key_counts_as_a_whole_however_it_is_written() {
        for key in [
            "email",
            "E-Mail",
            "e_mail",
            "eMail",
            "first name",
            "firstName",
            "FIRST_NAME",
            "X-Forwarded-For",
            "card.number",
        ] {
            assert!(is_denied(key), "{key}");
        }
        for key in
            ["tag_name", "product_name", "plan", "emails_sent", "", "_", "übername", "named", "tokens", "ip_country"]
        {
            assert!(!is_denied(key), "{key}");
        }
        assert!(!is_denied(&"x".repeat(400)));
    }
}
