//! `farm token`: secrets by which scripts are known.

use anstyle::Style;
use farm_api::{
    access::{NewToken, TokenInfo},
    client::PeopleClient,
};
use farm_types::TokenKind;
use jiff::Timestamp;

use crate::{
    cli::{CreateArgs, TokenCommand},
    exit::{Exit, Failure},
    output::{Output, aside},
    show::{DIM, Table, ago, join},
};

/// Lists, makes and revokes tokens.
pub async fn run(command: &TokenCommand, client: &PeopleClient, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        TokenCommand::List => {
            let tokens = client.tokens().await?;
            output.either(&tokens, || table(&tokens, Timestamp::now()))?;
        }
        TokenCommand::Create(args) => create(args, client, output).await?,
        TokenCommand::Revoke { token } => revoke(token, client, output).await?,
    }
    Ok(Exit::Done)
}

async fn create(args: &CreateArgs, client: &PeopleClient, output: &mut Output) -> Result<(), Failure> {
    let new = NewToken { name: args.name.clone(), scopes: args.scopes.clone(), days: Some(args.days) };
    let made = client.make_token(&new).await?;
    // Alone on stdout, so that it can go into a file; and the document has nothing to add.
    output.either(&made, || format!("{}\n", made.token))?;
    let (scopes, days) = (join(&args.scopes), args.days);
    aside(&format!(
        "Token {} is good for {scopes}, for {days} days. It is never shown again: keep it in a file that you",
        made.id
    ));
    aside("alone can read, and name that file as token_file in the configuration or with --token-file.");
    Ok(())
}

async fn revoke(wanted: &str, client: &PeopleClient, output: &mut Output) -> Result<(), Failure> {
    let mine = client.tokens().await?;
    let number = wanted.parse::<i64>().ok();
    let found: Vec<_> = mine.iter().filter(|t| t.name.as_deref() == Some(wanted) || Some(t.id) == number).collect();
    let id = match (found.as_slice(), number) {
        ([one], _) => one.id,
        // An administrator may know the number of somebody else's.
        ([], Some(number)) => number,
        ([], None) => {
            let message = format!("you have no token “{wanted}”; `farm token list` shows those that you have");
            return Err(Failure::Rejected { message, reasons: Vec::new() });
        }
        (several, _) => {
            let names: Vec<_> = several.iter().map(|t| format!("number {} is {}", t.id, what(t))).collect();
            return Err(Failure::usage(format!(
                "“{wanted}” may mean two: {}; say the name of the one or the number of the other",
                names.join(", ")
            )));
        }
    };
    client.revoke_token(id).await?;
    let what = found.first().map_or_else(|| "token".to_owned(), |token| what(token));
    output.note(&format!("Revoked {what}, number {id}"))
}

fn what(token: &TokenInfo) -> String {
    token.name.as_ref().map_or_else(|| format!("a {}", token.kind), |name| format!("token “{name}”"))
}

fn table(tokens: &[TokenInfo], now: Timestamp) -> String {
    if tokens.is_empty() {
        return "No tokens: `farm token create NAME` makes one.\n".to_owned();
    }
    let mut table = Table::new([">ID", "NAME", "SCOPES", "MADE", "GOOD UNTIL", "LAST USED"]);
    for token in tokens {
        let name = match (&token.name, token.kind) {
            (Some(name), _) => (Style::new(), name.clone()),
            (None, TokenKind::Session) => (DIM, "session of a browser".to_owned()),
            (None, kind) => (DIM, kind.to_string()),
        };
        let plain = |text: String| (Style::new(), text);
        table.styled([
            plain(token.id.to_string()),
            name,
            plain(join(&token.scopes)),
            plain(ago(token.created, now)),
            plain(token.expires.strftime("%Y-%m-%d %H:%M UTC").to_string()),
            plain(token.used.map_or_else(|| "never".to_owned(), |then| ago(then, now))),
        ]);
    }
    table.render()
}
