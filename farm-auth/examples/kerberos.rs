//! One side of a login, or a crowd of both, as a process with an environment of its own. The tests run it.
//!
//! - `initiate HOST`: prints a token; then takes the server's reply as a line and says whether it proves the server;
//! - `accept SERVICE` (`-` for any): takes tokens, one a line, and says who comes;
//! - `crowd HOST THREADS LOGINS`: both sides in many threads, with one acceptor.
#![expect(clippy::unwrap_used, reason = "it is a test")]

use std::{
    env,
    io::{self, BufRead as _},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use farm_auth::negotiate::{Acceptor, Initiator, NegotiateError};

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["initiate", host] => initiate(host),
        ["accept", service] => accept(service),
        ["crowd", host, threads, logins] => crowd(host, threads.parse().unwrap(), logins.parse().unwrap()),
        _ => panic!("see the source"),
    };
    if let Err(error) = result {
        refuse(&error);
    }
}

fn initiate(host: &str) -> Result<(), NegotiateError> {
    let (initiator, token) = Initiator::new(host)?;
    println!("token {}", STANDARD.encode(token));
    let mut reply = String::new();
    if io::stdin().read_line(&mut reply).unwrap() == 0 {
        // Only the token was wanted.
        return Ok(());
    }
    initiator.finish(&STANDARD.decode(reply.trim()).unwrap())?;
    println!("proven");
    Ok(())
}

fn accept(service: &str) -> Result<(), NegotiateError> {
    let acceptor = Acceptor::new((service != "-").then_some(service))?;
    println!("ready");
    for line in io::stdin().lock().lines() {
        match acceptor.accept_blocking(&STANDARD.decode(line.unwrap()).unwrap()) {
            Ok(who) => {
                println!("accepted {} {} {}", who.principal, who.lifetime.as_secs(), STANDARD.encode(who.reply));
            }
            Err(error) => refuse(&error),
        }
    }
    Ok(())
}

fn crowd(host: &str, threads: usize, logins: usize) -> Result<(), NegotiateError> {
    let acceptor = Acceptor::new(Some(&format!("HTTP@{host}")))?;
    let member = || {
        for _ in 0..logins {
            let (initiator, token) = Initiator::new(host)?;
            initiator.finish(&acceptor.accept_blocking(&token)?.reply)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let members: Vec<_> = (0..threads).map(|_| scope.spawn(member)).collect();
        members.into_iter().try_for_each(|member| member.join().unwrap())
    })?;
    println!("all {}", threads * logins);
    Ok(())
}

/// In one line: the kind, what a client is told, what a log is told.
fn refuse(error: &NegotiateError) {
    let debug = format!("{error:?}");
    let kind = debug.split([' ', '{']).next().unwrap();
    println!("refused {kind} | {} | {error}", error.public());
}
