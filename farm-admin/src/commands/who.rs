//! Who is meant: persons, groups, everybody, as they are written on the command line.

use anyhow::bail;
use farm_api::access::Person;
use farm_db::{PgConnection, operator};
use farm_types::GroupName;

/// The principal of a person or builder.
pub(crate) fn principal(text: &str) -> Result<String, String> {
    let problem = match text {
        "everyone" => "that word stands for everybody who is known by name",
        _ if text.starts_with('@') => "that is how groups are written",
        _ if text.contains('*') => "a star is for the rules of groups",
        _ if !(1..=256).contains(&text.chars().count()) => "it takes 1 to 256 characters",
        _ if text.chars().any(|c| c.is_whitespace() || c.is_control()) => "it holds a blank or a control character",
        _ => return Ok(text.to_owned()),
    };
    Err(format!("it is no principal, such as alice@EXAMPLE.ORG: {problem}"))
}

/// A member of a group: a principal, or a rule with a star.
pub(crate) fn member(text: &str) -> Result<String, String> {
    principal(&text.replace('*', "x")).map(|_| text.to_owned())
}

/// To whom a right is given: a principal, a group as in `@packagers`, or `everyone`.
pub(crate) fn holder(text: &str) -> Result<String, String> {
    match text.strip_prefix('@') {
        _ if text == "everyone" => Ok(text.to_owned()),
        Some(group) => group.parse::<GroupName>().map(|_| text.to_owned()).map_err(|error| error.to_string()),
        None => principal(text),
    }
}

/// A person whose name is known already. For everything that would else make a misspelt name known.
pub(crate) fn known_person(conn: &mut PgConnection, principal: &str) -> anyhow::Result<Person> {
    match operator::person(conn, principal)? {
        Some(person) => Ok(person),
        None => bail!("{principal} was never here; `farm-admin user add {principal}` makes the name known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persons_groups_and_rules_are_told_apart() {
        for good in ["alice", "alice@EXAMPLE.ORG", "builder/host1@EXAMPLE.ORG", "jürgen"] {
            assert!(principal(good).is_ok() && member(good).is_ok() && holder(good).is_ok(), "{good}");
        }
        for bad in ["", "everyone", "@packagers", "*/admin@EXAMPLE.ORG", "a b", "a\nb", &"x".repeat(257)] {
            assert!(principal(bad).is_err(), "{bad:?}");
        }
        assert!(member("*/admin@EXAMPLE.ORG").is_ok() && member("@packagers").is_err());
        assert!(holder("everyone").is_ok() && holder("@packagers").is_ok());
        assert!(holder("*@EXAMPLE.ORG").is_err() && holder("@No Group").is_err());
    }
}
