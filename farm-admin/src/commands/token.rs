//! `farm-admin token`.

use anyhow::bail;
use clap::{Args, Subcommand, value_parser};
use farm_api::access::{MadeToken, TokenInfo};
use farm_auth::Token;
use farm_db::{
    PgConnection,
    access::{self, NewToken},
};
use farm_types::Scope;

use super::{connect, operator_account, who};
use crate::{farm::FarmArgs, output};

const SCOPES: &str = "\
Scopes:
  read     see what the person may see
  submit   upload and hand in jobs
  cancel   cancel and retry jobs
  admin    administer what the person may administer, revoke tokens
A token does what the person may do, and of that only what its scopes say.

Example:
  (umask 077; farm-admin token add ci@EXAMPLE.ORG nightly --scopes read,submit > farm-token)";

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// List the tokens for scripts and the sessions of browsers that are good now
    List {
        /// Only this person's
        #[arg(value_parser = who::principal)]
        principal: Option<String>,
    },
    /// Make a token for a person's scripts and print it, once and alone
    #[command(after_help = SCOPES)]
    Add(AddArgs),
    /// Revoke a token or end a session, at once
    Revoke {
        /// Its number, as the list shows it
        id: i64,
    },
}

#[derive(Args)]
pub(crate) struct AddArgs {
    /// Whose, as in alice@EXAMPLE.ORG
    #[arg(value_parser = who::principal)]
    principal: String,
    /// What to call it, unique among that person's tokens
    #[arg(value_parser = token_name)]
    name: String,
    /// What it is good for
    #[arg(long, required = true, value_delimiter = ',')]
    scopes: Vec<Scope>,
    /// For how many days
    #[arg(long, default_value_t = 90, value_parser = value_parser!(u32).range(1..=366))]
    days: u32,
}

pub(crate) fn run(farm: &FarmArgs, command: TokenCommand) -> anyhow::Result<()> {
    let mut conn = connect(farm)?;
    match command {
        TokenCommand::List { principal } => {
            if let Some(principal) = &principal {
                who::known_person(&mut conn, principal)?;
            }
            list(farm, &access::tokens(&mut conn, principal.as_deref())?)
        }
        TokenCommand::Add(args) => add(farm, &mut conn, args),
        TokenCommand::Revoke { id } => revoke(&mut conn, id),
    }
}

fn add(farm: &FarmArgs, conn: &mut PgConnection, mut args: AddArgs) -> anyhow::Result<()> {
    who::known_person(conn, &args.principal)?;
    args.scopes.sort_unstable();
    args.scopes.dedup();
    let token = Token::generate();
    let new = NewToken {
        person: &args.principal,
        digest: &token.digest(),
        name: &args.name,
        scopes: &args.scopes,
        days: args.days,
    };
    let id = access::make_token(conn, &operator_account(), &new)?;
    if farm.json {
        return output::json(&MadeToken { id, token: token.expose() });
    }
    println!("{}", token.expose());
    let (scopes, days) = (output::list(&args.scopes), args.days);
    eprintln!("token {id} of {}, good for {scopes}, for {days} days; it is never shown again", args.principal);
    Ok(())
}

fn revoke(conn: &mut PgConnection, id: i64) -> anyhow::Result<()> {
    let Some(token) = access::tokens(conn, None)?.into_iter().find(|token| token.id == id) else {
        bail!("there is no token {id} that is good now; `farm-admin token list` shows those that there are");
    };
    access::revoke_token(conn, &operator_account(), id)?;
    println!("revoked {} {id} of {}", what(&token), token.person);
    Ok(())
}

fn what(token: &TokenInfo) -> String {
    token.name.as_ref().map_or_else(|| token.kind.to_string(), |name| format!("token “{name}”, number"))
}

/// The rule of the database, as a sentence.
fn token_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if (1..=50).contains(&text.len()) && text.chars().all(fits) && !text.starts_with(['_', '.', '-']) {
        return Ok(text.to_owned());
    }
    Err("it takes 1 to 50 letters, digits, dots, dashes and underscores, beginning with a letter or digit".to_owned())
}

fn list(farm: &FarmArgs, tokens: &[TokenInfo]) -> anyhow::Result<()> {
    if farm.json {
        return output::json(tokens);
    }
    let rows: Vec<_> = tokens
        .iter()
        .map(|token| {
            let mut row = vec![token.id.to_string(), token.person.clone(), token.kind.to_string()];
            row.push(token.name.clone().unwrap_or_default());
            row.push(output::list(&token.scopes));
            row.extend([token.created, token.expires].map(output::time));
            row.push(token.used.map(output::time).unwrap_or_default());
            row
        })
        .collect();
    output::table(&["ID", "PERSON", "KIND", "NAME", "SCOPES", "MADE", "GOOD UNTIL", "LAST USED"], &rows);
    Ok(())
}
