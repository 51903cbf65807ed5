//! Calls of the database's functions that are made all the time: statements that a connection prepares once and keeps.
//!
//! What is built with `sql_query` is sent, parsed and planned anew each time, in two round trips.

use diesel::{
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    query_dsl::RunQueryDsl,
    result::QueryResult,
    sql_types::Untyped,
};

/// A statement with the arguments of a function in its middle.
pub(crate) struct Call<A> {
    before: &'static str,
    arguments: A,
    after: &'static str,
}

/// The statement `before`, `arguments`, `after`: a tuple of what `into_sql` makes, separated by commas.
pub(crate) fn call<A>(before: &'static str, arguments: A, after: &'static str) -> Call<A> {
    Call { before, arguments, after }
}

impl<A: QueryFragment<Pg>> QueryFragment<Pg> for Call<A> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(self.before);
        self.arguments.walk_ast(out.reborrow())?;
        out.push_sql(self.after);
        Ok(())
    }
}

// Known by its text.
impl<A> QueryId for Call<A> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<A> Query for Call<A> {
    type SqlType = Untyped;
}

impl<A, Conn> RunQueryDsl<Conn> for Call<A> {}
