//! Who causes a change, and who looks.

use diesel::sql_types::{Nullable, Text};
use farm_types::{PersonId, Way};

/// Who causes a change: every verb that changes something for somebody wants one. The database asks for that person's rights
/// and writes down what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The principal, as in `alice@EXAMPLE.ORG`; of an operator, the account on the operator's machine.
    pub principal: String,
    /// How that is known.
    pub way: Way,
    /// Where from: an IP address, or `local`.
    pub address: Option<String>,
}

/// Somebody who looks: what only some may see is shown to those alone. On an operator's connection everything is seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Viewer(pub Option<PersonId>);

impl Viewer {
    /// Who sees what everybody sees.
    pub const ANYBODY: Self = Self(None);

    pub(crate) fn number(self) -> Option<i32> {
        self.0.map(|person| person.0)
    }
}

impl Actor {
    /// Somebody who came to the database itself. The database lets only those be one who own the farm.
    pub fn operator(account: &str) -> Self {
        Self { principal: account.to_owned(), way: Way::Operator, address: None }
    }
}

/// SQL for the actor in the parameters 1 to 3; [`bind!`] fills them.
macro_rules! actor {
    () => {
        "ROW($1, $2::farm.way, $3)::farm.actor"
    };
}

/// Fills the parameters of [`actor!`].
macro_rules! bind {
    ($query:expr, $actor:expr) => {
        $query
            .bind::<$crate::actor::Principal, _>(&$actor.principal)
            .bind::<$crate::actor::Principal, _>($actor.way.as_str())
            .bind::<$crate::actor::Address, _>($actor.address.as_deref())
    };
}

pub(crate) type Principal = Text;
pub(crate) type Address = Nullable<Text>;
pub(crate) use {actor, bind};
